INSERT INTO entasis.installation (engine) VALUES ('citus')
ON CONFLICT (only_row) DO NOTHING;
