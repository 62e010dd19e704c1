COMMENT ON TABLE entasis.maintenance_log IS
'What maintenance created, archived, compressed, attached and dropped, newest last.';
COMMENT ON COLUMN entasis.maintenance_log.id IS
'Identifies the entry; ascending.';
COMMENT ON COLUMN entasis.maintenance_log.logged_at IS
'When it happened; UTC.';
COMMENT ON COLUMN entasis.maintenance_log.action IS
'create, archive, detach, attach, compress, drop or restore.';
COMMENT ON COLUMN entasis.maintenance_log.relation IS
'Relation concerned.';
COMMENT ON COLUMN entasis.maintenance_log.detail IS
'Partition, and bounds where they matter.';
