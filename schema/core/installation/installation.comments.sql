COMMENT ON TABLE entasis.installation IS
'What this database is: one row.';
COMMENT ON COLUMN entasis.installation.only_row IS
'Always true: the key that allows one row.';
COMMENT ON COLUMN entasis.installation.engine IS
'Engine that the database was made for; chosen once.';
COMMENT ON COLUMN entasis.installation.installed_at IS
'When the first migration ran; UTC.';
COMMENT ON COLUMN entasis.installation.release IS
'Release of entasis-db that last brought the database up to date. NULL: the first run has not come to its end.';
COMMENT ON COLUMN entasis.installation.applied_at IS
'When that was; UTC. NULL: not yet.';
