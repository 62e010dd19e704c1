CREATE OR REPLACE VIEW entasis.migrations AS
SELECT
    y.migration_id AS migration,
    y.applied_at_utc AT TIME ZONE 'UTC' AS applied_at
FROM entasis_migrations._yoyo_migration AS y;
