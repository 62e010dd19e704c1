COMMENT ON TABLE entasis_migrations.checksums IS
'The text of each migration that was applied here, as a checksum; entasis.migrations shows it. A row is written in the transaction of its migration, so it can be there before yoyo''s own.';
COMMENT ON COLUMN entasis_migrations.checksums.migration IS
'Its number and name.';
COMMENT ON COLUMN entasis_migrations.checksums.sha256 IS
'SHA-256 of its file, with line endings as LF; hexadecimal, lower case.';
