-- Not a parsed body, here and wherever TimescaleDB's views are read: it would depend on them, and block
-- ALTER EXTENSION timescaledb UPDATE. PL/pgSQL keeps the plan, which takes longer to make than to run.
CREATE OR REPLACE FUNCTION entasis_internal.partitions_of(relation_name text)
RETURNS TABLE (partition_oid oid, partition_name name, from_time timestamptz, to_time timestamptz)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
BEGIN
    RETURN QUERY
    SELECT c.oid, c.relname, k.range_start, k.range_end
    FROM timescaledb_information.chunks AS k
    INNER JOIN pg_catalog.pg_namespace AS n ON n.nspname = k.chunk_schema
    INNER JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = k.chunk_name
    INNER JOIN entasis_internal.hypertable_of(partitions_of.relation_name) AS h
        ON k.hypertable_schema = h.schema_name AND k.hypertable_name = h.table_name;
END
$$;

COMMENT ON FUNCTION entasis_internal.partitions_of IS
'The chunks of one relation of schema entasis with their real bounds, [from_time, to_time); those of candles are the chunks of their continuous aggregate.';
