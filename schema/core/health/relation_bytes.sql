CREATE OR REPLACE FUNCTION entasis_internal.relation_bytes(relation_name text) RETURNS bigint
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM entasis.floors AS f WHERE f.relation = relation_name) THEN
        RETURN (
            SELECT coalesce(sum(s.bytes), 0)::bigint
            FROM entasis_internal.partition_sizes(relation_name) AS s
        );
    END IF;
    RETURN pg_total_relation_size(to_regclass(format('entasis.%I', relation_name)));
END
$$;

COMMENT ON FUNCTION entasis_internal.relation_bytes IS
'Size on disk of a relation of schema entasis, of all its partitions if it has any, in bytes, with indexes and TOAST.';
