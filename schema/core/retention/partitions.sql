CREATE OR REPLACE VIEW entasis.partitions WITH (security_invoker = true) AS
SELECT
    k.relation,
    p.partition_name,
    p.from_time,
    p.to_time,
    c.reltuples::bigint AS estimated_rows,
    s.bytes,
    coalesce(p.to_time <= entasis.keep_from(k.keep), false) AS past_keep
FROM entasis.keep_periods AS k
CROSS JOIN LATERAL entasis_internal.partitions_of(k.relation) AS p
INNER JOIN pg_class AS c ON p.partition_oid = c.oid
CROSS JOIN LATERAL entasis_internal.partition_sizes(k.relation) AS s
WHERE p.partition_oid = s.partition_oid;

COMMENT ON VIEW entasis.partitions IS
'The partitions that exist, with their real bounds and sizes.';
COMMENT ON COLUMN entasis.partitions.relation IS
'Relation of schema entasis.';
COMMENT ON COLUMN entasis.partitions.partition_name IS
'Table of schema entasis that holds the rows.';
COMMENT ON COLUMN entasis.partitions.from_time IS
'Start of the partition, inclusive; UTC.';
COMMENT ON COLUMN entasis.partitions.to_time IS
'End of the partition, exclusive; UTC.';
COMMENT ON COLUMN entasis.partitions.estimated_rows IS
'Rows as of the last ANALYZE. -1: never analyzed.';
COMMENT ON COLUMN entasis.partitions.bytes IS
'Size on disk with its indexes, in bytes.';
COMMENT ON COLUMN entasis.partitions.past_keep IS
'Whether all of it is past its keep period; maintain() then drops it, unless entasis.lifecycle shows why it is kept.';
