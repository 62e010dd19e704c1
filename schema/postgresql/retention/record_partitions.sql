CREATE OR REPLACE FUNCTION entasis_internal.record_partitions() RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    INSERT INTO entasis_internal.known_partitions AS s (
        relation, partition_name, from_time, to_time
    )
    SELECT
        k.relation,
        p.partition_name,
        p.from_time,
        p.to_time
    FROM entasis.keep_periods AS k
    CROSS JOIN LATERAL entasis_internal.partitions_of(k.relation) AS p
    ON CONFLICT (relation, from_time, to_time) DO UPDATE
        SET partition_name = excluded.partition_name
        WHERE s.partition_name <> excluded.partition_name;
END;

COMMENT ON FUNCTION entasis_internal.record_partitions IS
'Records the partitions that exist, for entasis.lifecycle to show those that are gone.';
