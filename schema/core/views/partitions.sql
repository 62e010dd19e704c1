CREATE OR REPLACE VIEW entasis.partitions WITH (security_invoker = true) AS
SELECT
    k.relation,
    p.partition_name,
    p.from_time,
    p.to_time,
    c.reltuples::bigint AS estimated_rows,
    pg_total_relation_size(c.oid) AS bytes,
    coalesce(p.to_time <= entasis.keep_from(k.keep), false) AS past_keep
FROM entasis.keep_periods AS k
CROSS JOIN LATERAL entasis_internal.partitions_of(k.relation) AS p
INNER JOIN pg_class AS c ON p.partition_oid = c.oid;
