-- A run that is interrupted between a migration's transaction and yoyo's record of it leaves only a checksum;
-- a migration that was applied without entasis has none.
CREATE OR REPLACE VIEW entasis.migrations AS
SELECT
    coalesce(y.migration_id, c.migration) AS migration,
    y.applied_at_utc AT TIME ZONE 'UTC' AS applied_at,
    c.sha256
FROM entasis_migrations._yoyo_migration AS y
FULL OUTER JOIN entasis_migrations.checksums AS c ON y.migration_id = c.migration;

COMMENT ON VIEW entasis.migrations IS
'The migrations that were applied to this database.';
COMMENT ON COLUMN entasis.migrations.migration IS
'Number and name.';
COMMENT ON COLUMN entasis.migrations.applied_at IS
'When it was applied; UTC. NULL: it was applied, but the run was interrupted before that was recorded; the next run applies it again.';
COMMENT ON COLUMN entasis.migrations.sha256 IS
'SHA-256 of its file, with line endings as LF; hexadecimal, lower case. NULL: applied without one, by a draft of 0.1.0 or by yoyo directly.';
