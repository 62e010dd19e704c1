COMMENT ON TABLE entasis_migrations.checksums IS
'Checksum of the text of each applied migration; entasis.migrations shows it. A row is written in the transaction of its migration, so it may exist before yoyo''s own row.';
COMMENT ON COLUMN entasis_migrations.checksums.migration IS
'Number and name of the migration.';
COMMENT ON COLUMN entasis_migrations.checksums.sha256 IS
'SHA-256 of its file, with line endings as LF; hexadecimal, lower case.';
