-- PL/pgSQL keeps the plan, which takes longer to make than to run.
CREATE OR REPLACE FUNCTION entasis_internal.hypertable_of(relation_name text)
RETURNS TABLE (schema_name name, table_name name)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT h.hypertable_schema, h.hypertable_name
    FROM timescaledb_information.hypertables AS h
    WHERE h.hypertable_schema = 'entasis' AND h.hypertable_name = hypertable_of.relation_name
    UNION ALL
    SELECT a.materialization_hypertable_schema, a.materialization_hypertable_name
    FROM timescaledb_information.continuous_aggregates AS a
    WHERE a.view_schema = 'entasis' AND a.view_name = hypertable_of.relation_name;
END
$$;

COMMENT ON FUNCTION entasis_internal.hypertable_of IS
'The hypertable that stores a relation of schema entasis: the relation itself, or the hypertable of a continuous aggregate.';
