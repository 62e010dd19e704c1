INSERT INTO entasis.installation (engine) VALUES ('postgresql')
ON CONFLICT (only_row) DO NOTHING;
