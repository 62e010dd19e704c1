-- The compressed rows of a chunk are in a table of their own, which the private catalog names differently from
-- version to version. chunks_detailed_size() is public, counts both tables, and accepts continuous
-- aggregates.
-- It is declared volatile there, though it only reads: what asks for sizes changes nothing.
-- Not a parsed body: see partitions_of().
CREATE OR REPLACE FUNCTION entasis_internal.partition_sizes(relation_name text)
RETURNS TABLE (partition_oid oid, bytes bigint)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT c.oid, s.total_bytes
    FROM public.chunks_detailed_size(to_regclass(format('entasis.%I', relation_name))) AS s
    INNER JOIN pg_catalog.pg_namespace AS n ON n.nspname = s.chunk_schema
    INNER JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = s.chunk_name
$$;

COMMENT ON FUNCTION entasis_internal.partition_sizes IS
'Size on disk of each chunk of a relation of schema entasis, in bytes, with indexes, TOAST and compressed rows.';
