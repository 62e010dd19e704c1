COMMENT ON TABLE entasis_internal.known_partitions IS
'The partitions that there were when maintenance last looked, but for those that it dropped from relations without an archive.';
COMMENT ON COLUMN entasis_internal.known_partitions.relation IS
'Relation of schema entasis.';
COMMENT ON COLUMN entasis_internal.known_partitions.partition_name IS
'Its name when it was last seen.';
COMMENT ON COLUMN entasis_internal.known_partitions.from_time IS
'First moment that belongs to it, included; UTC.';
COMMENT ON COLUMN entasis_internal.known_partitions.to_time IS
'First moment that no longer belongs to it; UTC.';
COMMENT ON COLUMN entasis_internal.known_partitions.seen_at IS
'When it was first seen; UTC.';
