-- Queries ask it only for buckets that start below candles_known_from(). Candles of what was reopened are made from all
-- their trades. What known_again() reads, readers may not.
CREATE OR REPLACE FUNCTION entasis_internal.is_known_below_floor(
    candle_interval entasis.candle_interval,
    symbol_name text,
    exchange_name text,
    from_time timestamptz,
    to_time timestamptz DEFAULT NULL
) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    -- without a row, range_agg() is NULL
    SELECT
        count(*) > 0
        AND range_agg(tstzrange(r.from_time, r.to_time)) @> tstzrange(
            is_known_below_floor.from_time,
            least(
                coalesce(
                    is_known_below_floor.to_time,
                    (
                        is_known_below_floor.from_time AT TIME ZONE 'UTC'
                        + entasis.candle_step(is_known_below_floor.candle_interval)
                    ) AT TIME ZONE 'UTC'
                ),
                entasis_internal.candles_known_from(is_known_below_floor.candle_interval)
            )
        )
    FROM
        entasis_internal.known_again(
            entasis_internal.stored_level(is_known_below_floor.candle_interval),
            is_known_below_floor.symbol_name,
            is_known_below_floor.exchange_name
        ) AS r;
END;

COMMENT ON FUNCTION entasis_internal.is_known_below_floor IS
'Whether every candle of a market is known, in the stored relation of an interval, from from_time (included), which lies below its floor, up to to_time. to_time NULL: up to the end of the bucket that starts at from_time.';
