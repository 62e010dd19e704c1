CREATE OR REPLACE FUNCTION entasis_internal.days_with_data(
    from_time timestamptz, to_time timestamptz
) RETURNS TABLE (day timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
BEGIN ATOMIC
    -- the days of the partitions that there are, which spares reading the trades for their days
    SELECT DISTINCT s.each_day
    FROM entasis.floors AS f
    CROSS JOIN
        LATERAL (
            SELECT
                p.from_time,
                p.to_time
            FROM entasis_internal.partitions_of('market_data') AS p
            UNION ALL
            SELECT
                p.from_time,
                p.to_time
            FROM entasis_internal.partitions_of('ohlcv_1m') AS p
        ) AS b
    CROSS JOIN
        LATERAL generate_series(
            date_trunc('day', greatest(b.from_time, f.floor, days_with_data.from_time)),
            least(b.to_time, days_with_data.to_time) - interval '1 microsecond',
            interval '1 day'
        ) AS s (each_day)
    WHERE
        f.relation = 'market_data'
        AND greatest(b.from_time, f.floor, days_with_data.from_time)
        < least(b.to_time, days_with_data.to_time)
    ORDER BY s.each_day;
END;

COMMENT ON FUNCTION entasis_internal.days_with_data(timestamptz, timestamptz) IS
'The UTC days that touch [from_time, to_time), have a partition of market_data or ohlcv_1m, and do not lie below the floor.';
