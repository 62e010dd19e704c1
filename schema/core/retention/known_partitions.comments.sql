COMMENT ON TABLE entasis_internal.known_partitions IS
'Every partition that maintenance has found, except those that it dropped from relations without an archive.';
COMMENT ON COLUMN entasis_internal.known_partitions.relation IS
'Relation of schema entasis.';
COMMENT ON COLUMN entasis_internal.known_partitions.partition_name IS
'Name of the partition when maintenance last found it.';
COMMENT ON COLUMN entasis_internal.known_partitions.from_time IS
'Start of the partition, inclusive; UTC.';
COMMENT ON COLUMN entasis_internal.known_partitions.to_time IS
'End of the partition, exclusive; UTC.';
COMMENT ON COLUMN entasis_internal.known_partitions.first_seen_at IS
'When maintenance first found it; UTC.';
