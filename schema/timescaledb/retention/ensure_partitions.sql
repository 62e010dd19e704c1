CREATE OR REPLACE FUNCTION entasis.ensure_partitions(
    relation_name text, from_time timestamptz, to_time timestamptz
) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM entasis_internal.check_partition_range(relation_name, from_time, to_time);
    -- TimescaleDB creates a chunk for the first row that needs it
    RETURN 0;
END
$$;

COMMENT ON FUNCTION entasis.ensure_partitions IS
'Refuses a range [from_time, to_time) before 2009, below the floor, or further ahead than keep_periods.months_ahead, and more than 36 months at a time. On engine timescaledb chunks are created by the rows that need them, and it returns 0.';
