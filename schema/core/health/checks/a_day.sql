-- A count since the beginning of time would stay over its threshold for ever: of a day, it comes down by itself.
CREATE OR REPLACE FUNCTION entasis_internal.a_day(counted numeric, counted_from timestamptz)
RETURNS numeric
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT round(
        counted / greatest(
            1,
            extract(
                EPOCH FROM clock_timestamp() - entasis_internal.statistics_since(counted_from)
            ) / 86400
        ),
        2
    );
END;

COMMENT ON FUNCTION entasis_internal.a_day IS
'How many a day of what the server has counted since counted_from, the stats_reset of these statistics; of the first day, all.';
