COMMENT ON TABLE entasis_internal.known_partitions IS
'Every partition that was made, or found by maintenance, except those that maintenance dropped from relations without an archive. entasis.lifecycle shows those that are gone.';
COMMENT ON COLUMN entasis_internal.known_partitions.relation IS
'Relation of schema entasis.';
COMMENT ON COLUMN entasis_internal.known_partitions.partition_name IS
'Name of the partition when it was made or last found.';
COMMENT ON COLUMN entasis_internal.known_partitions.from_time IS
'Start of the partition, inclusive; UTC.';
COMMENT ON COLUMN entasis_internal.known_partitions.to_time IS
'End of the partition, exclusive; UTC.';
COMMENT ON COLUMN entasis_internal.known_partitions.first_seen_at IS
'When it was made or first found; UTC.';
