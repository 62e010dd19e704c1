CREATE OR REPLACE FUNCTION entasis_internal.analyze_partitioned(relation_name text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM FROM entasis.floors AS f WHERE f.relation = relation_name;
    IF FOUND THEN
        EXECUTE format('ANALYZE entasis.%I', relation_name);
    END IF;
END
$$;

COMMENT ON FUNCTION entasis_internal.analyze_partitioned IS
'Gathers the statistics of a partitioned relation as a whole, which autovacuum does not do.';
