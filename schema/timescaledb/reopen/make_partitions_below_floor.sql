CREATE OR REPLACE FUNCTION entasis_internal.make_partitions_below_floor(
    relation_name text, from_time timestamptz, to_time timestamptz
) RETURNS void
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- nothing to do: chunks are created by the rows that need them
END
$$;

COMMENT ON FUNCTION entasis_internal.make_partitions_below_floor IS
'On engine timescaledb chunks are created by the rows that need them, and it does nothing.';
