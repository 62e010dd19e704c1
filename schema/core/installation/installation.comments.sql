COMMENT ON TABLE entasis.installation IS
'The engine and release of this database; one row.';
COMMENT ON COLUMN entasis.installation.only_row IS
'Always true, so that there is one row.';
COMMENT ON COLUMN entasis.installation.engine IS
'Engine, postgresql or timescaledb; chosen by the first migration.';
COMMENT ON COLUMN entasis.installation.installed_at IS
'When the first migration ran; UTC.';
COMMENT ON COLUMN entasis.installation.release IS
'Release of entasis-db that last migrated the database. NULL: the first migration did not finish.';
COMMENT ON COLUMN entasis.installation.applied_at IS
'When that was; UTC. NULL: the first migration did not finish.';
