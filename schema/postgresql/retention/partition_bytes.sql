CREATE OR REPLACE FUNCTION entasis_internal.partition_bytes(partition_oid oid) RETURNS bigint
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
RETURN pg_total_relation_size(partition_oid);

COMMENT ON FUNCTION entasis_internal.partition_bytes(oid) IS
'Size of a partition on disk with its indexes, in bytes.';
