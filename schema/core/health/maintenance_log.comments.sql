COMMENT ON TABLE entasis.maintenance_log IS
'What was made and dropped, newest last.';
COMMENT ON COLUMN entasis.maintenance_log.id IS
'Number of the entry.';
COMMENT ON COLUMN entasis.maintenance_log.logged_at IS
'When; UTC.';
COMMENT ON COLUMN entasis.maintenance_log.action IS
'create, archive, detach, attach, drop or restore.';
COMMENT ON COLUMN entasis.maintenance_log.relation IS
'Relation that it happened to.';
COMMENT ON COLUMN entasis.maintenance_log.detail IS
'Partition and bounds.';
