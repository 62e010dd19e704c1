-- Buckets of one market do not overlap: the first of them has the first trade, and the last one the last.
CREATE OR REPLACE FUNCTION entasis_internal.roll_up(candles entasis.ohlcv_1m[], step interval)
RETURNS entasis.ohlcv_1m[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
RETURN (
    SELECT
        array_agg(
            row(
                g.symbol, g.exchange, g.bucket,
                g.opens[1], g.high, g.low, g.closes[g.parts],
                g.volume, g.quote_volume, g.trades,
                g.opened_at, g.first_ids[1], g.closed_at, g.last_ids[g.parts]
            )::entasis.ohlcv_1m
            ORDER BY g.symbol, g.exchange, g.bucket
        )
    FROM (
        SELECT
            c.symbol,
            c.exchange,
            date_bin(roll_up.step, c.bucket, '2000-01-01 00:00:00+00'::timestamptz) AS bucket,
            count(*) AS parts,
            array_agg(c.open ORDER BY c.bucket) AS opens,
            array_agg(c.first_trade_id ORDER BY c.bucket) AS first_ids,
            max(c.high) AS high,
            min(c.low) AS low,
            array_agg(c.close ORDER BY c.bucket) AS closes,
            array_agg(c.last_trade_id ORDER BY c.bucket) AS last_ids,
            sum(c.volume) AS volume,
            sum(c.quote_volume) AS quote_volume,
            sum(c.trades)::bigint AS trades,
            min(c.opened_at) AS opened_at,
            max(c.closed_at) AS closed_at
        FROM unnest(roll_up.candles) AS c
        GROUP BY 1, 2, 3
    ) AS g
);

COMMENT ON FUNCTION entasis_internal.roll_up IS
'Candles of length step, computed from shorter ones that divide it, in key order. NULL if none are given.';
