INSERT INTO entasis.installation (engine) VALUES ('timescaledb')
ON CONFLICT (only_row) DO NOTHING;
