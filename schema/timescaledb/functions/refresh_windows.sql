-- Whole UTC days, because a day's candle needs them, but never below the floor, and only buckets that
-- are over: a bucket that is still open is computed when it is read, and materialized it would hide
-- its next trades until the next refresh.
CREATE OR REPLACE FUNCTION entasis_internal.refresh_windows(
    from_time timestamptz, to_time timestamptz
) RETURNS TABLE (relation text, window_from timestamptz, window_to timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
BEGIN ATOMIC
    SELECT
        w.relation,
        w.window_from,
        w.window_to
    FROM (
        SELECT
            l.relation,
            l.rank,
            l.step,
            greatest(
                entasis_internal.first_whole_day(),
                CASE
                    WHEN isfinite(refresh_windows.from_time)
                        THEN date_trunc('day', refresh_windows.from_time)
                    ELSE refresh_windows.from_time
                END
            ) AS window_from,
            least(
                CASE
                    WHEN isfinite(refresh_windows.to_time)
                        THEN
                            date_trunc('day', refresh_windows.to_time - interval '1 microsecond')
                            + interval '1 day'
                    ELSE refresh_windows.to_time
                END,
                date_trunc(l.unit, clock_timestamp())
            ) AS window_to
        FROM (VALUES
            (1, 'ohlcv_1m', 'minute', interval '1 minute'),
            (2, 'ohlcv_1h', 'hour', interval '1 hour'),
            (3, 'ohlcv_1d', 'day', interval '1 day')
        ) AS l (rank, relation, unit, step)
    ) AS w
    WHERE
        refresh_windows.from_time < refresh_windows.to_time
        AND (NOT isfinite(w.window_from) OR w.window_from + w.step <= w.window_to)
        AND w.window_to > '-infinity'
    -- each level is computed from the one before it
    ORDER BY w.rank;
END;

COMMENT ON FUNCTION entasis_internal.refresh_windows(timestamptz, timestamptz) IS
'What a refresh of [from_time, to_time) asks of each continuous aggregate, from the smallest buckets up: windows of whole UTC days above the floor, up to the bucket that is open now.';
