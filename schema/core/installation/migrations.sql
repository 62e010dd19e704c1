CREATE OR REPLACE VIEW entasis.migrations AS
SELECT
    y.migration_id AS migration,
    y.applied_at_utc AT TIME ZONE 'UTC' AS applied_at
FROM entasis_migrations._yoyo_migration AS y;

COMMENT ON VIEW entasis.migrations IS
'The migrations that this database has.';
COMMENT ON COLUMN entasis.migrations.migration IS
'Its number and name.';
COMMENT ON COLUMN entasis.migrations.applied_at IS
'When it was applied; UTC.';
