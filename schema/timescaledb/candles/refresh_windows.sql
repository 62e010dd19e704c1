-- Whole UTC days, because the candle of a day needs them, below the floor only what was reopened, and only
-- buckets that
-- have ended: an open one is computed when it is read; materialized, it would hide its next trades until
-- the next refresh. Minutes are refreshed chunk by chunk, each in one transaction. TimescaleDB's batches
-- (buckets_per_batch) are not used, because 2.28.3 omits the last bucket of a range of changes that ends
-- exactly where that bucket starts.
CREATE OR REPLACE FUNCTION entasis_internal.refresh_windows(
    from_time timestamptz, to_time timestamptz, with_gaps boolean
) RETURNS TABLE (relation text, window_from timestamptz, window_to timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
BEGIN ATOMIC
    WITH asked AS (
        SELECT
            CASE
                WHEN isfinite(refresh_windows.from_time)
                    THEN date_trunc('day', refresh_windows.from_time)
                ELSE refresh_windows.from_time
            END AS from_day,
            CASE
                WHEN isfinite(refresh_windows.to_time)
                    THEN
                        date_trunc('day', refresh_windows.to_time - interval '1 microsecond')
                        + interval '1 day'
                ELSE refresh_windows.to_time
            END AS to_day
        WHERE refresh_windows.from_time < refresh_windows.to_time
    ),

    days AS (
        SELECT
            greatest(entasis_internal.first_whole_day(), a.from_day) AS from_day,
            a.to_day
        FROM asked AS a
        UNION
        SELECT
            greatest(r.from_time, a.from_day) AS from_day,
            least(
                date_trunc('day', r.to_time - interval '1 microsecond') + interval '1 day', a.to_day
            ) AS to_day
        FROM asked AS a
        CROSS JOIN entasis.reopened AS r
        WHERE r.relation = 'market_data'
    ),

    chunks AS (
        SELECT
            p.from_time,
            p.to_time,
            lag(p.to_time, 1, '-infinity') OVER (ORDER BY p.from_time) AS gap_from
        FROM entasis_internal.partitions_of('market_data') AS p
    ),

    spans AS (
        SELECT
            c.from_time,
            c.to_time
        FROM chunks AS c
        UNION ALL
        SELECT
            c.gap_from AS from_time,
            c.from_time AS to_time
        FROM chunks AS c
        WHERE with_gaps
        UNION ALL
        SELECT
            coalesce(max(c.to_time), '-infinity') AS from_time,
            'infinity' AS to_time
        FROM chunks AS c
        HAVING with_gaps
    )

    SELECT
        w.relation,
        w.window_from,
        w.window_to
    FROM (
        SELECT
            1 AS rank,
            'ohlcv_1m' AS relation,
            greatest(d.from_day, s.from_time) AS window_from,
            least(d.to_day, s.to_time, date_trunc('minute', clock_timestamp())) AS window_to
        FROM days AS d
        CROSS JOIN spans AS s
        UNION ALL
        SELECT
            l.rank,
            l.relation,
            d.from_day AS window_from,
            least(d.to_day, date_trunc(l.unit, clock_timestamp())) AS window_to
        FROM days AS d
        CROSS JOIN (
            VALUES
            (2, 'ohlcv_1h', 'hour'),
            (3, 'ohlcv_1d', 'day')
        ) AS l (rank, relation, unit)
    ) AS w
    WHERE w.window_from < w.window_to
    -- each interval is computed from the one before it
    ORDER BY w.rank, w.window_from;
END;

COMMENT ON FUNCTION entasis_internal.refresh_windows IS
'The windows to refresh in each continuous aggregate for [from_time, to_time), minutes first: whole UTC days above the floor, and reopened ones below it, up to the bucket that is open now. Minutes of which no chunk of trades exists only with_gaps.';
