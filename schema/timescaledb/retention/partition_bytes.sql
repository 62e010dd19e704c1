-- What is in the columnstore lies in a table of its own, which only the catalog knows.
CREATE OR REPLACE FUNCTION entasis_internal.partition_bytes(partition_oid oid) RETURNS bigint
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT pg_total_relation_size(partition_oid) + coalesce((
        SELECT pg_total_relation_size(format('%I.%I', s.schema_name, s.table_name)::regclass)
        FROM pg_class AS c
        INNER JOIN _timescaledb_catalog.chunk AS k
            ON k.schema_name = c.relnamespace::regnamespace::text::name AND k.table_name = c.relname
        INNER JOIN _timescaledb_catalog.chunk AS s ON s.id = k.compressed_chunk_id
        WHERE c.oid = partition_oid
    ), 0)
$$;

COMMENT ON FUNCTION entasis_internal.partition_bytes(oid) IS
'Size of a chunk on disk with its indexes, in bytes, what is compressed of it included.';
