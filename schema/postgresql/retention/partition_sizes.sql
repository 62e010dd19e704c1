CREATE OR REPLACE FUNCTION entasis_internal.partition_sizes(relation_name text)
RETURNS TABLE (partition_oid oid, bytes bigint)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT
        p.partition_oid,
        pg_total_relation_size(p.partition_oid) AS bytes
    FROM entasis_internal.partitions_of(partition_sizes.relation_name) AS p;
END;

COMMENT ON FUNCTION entasis_internal.partition_sizes IS
'Size on disk of each partition of a relation of schema entasis, in bytes, with indexes and TOAST.';
