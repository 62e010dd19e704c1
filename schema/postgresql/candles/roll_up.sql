-- Which of two candles opened first is decided by (opened_at, first_trade_id), as between trades.
CREATE OR REPLACE FUNCTION entasis_internal.roll_up(candles entasis.ohlcv_1m[], step interval)
RETURNS entasis.ohlcv_1m[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
RETURN (
    SELECT
        array_agg(
            row(
                g.symbol, g.exchange, g.bucket,
                g.opening[3], g.high, g.low, g.closing[3],
                g.volume, g.quote_volume, g.trades,
                g.opened_at, g.opening[2], g.closed_at, g.closing[2]
            )::entasis.ohlcv_1m
            ORDER BY g.symbol, g.exchange, g.bucket
        )
    FROM (
        SELECT
            c.symbol,
            c.exchange,
            date_bin(step, c.bucket, '2000-01-01 00:00:00+00'::timestamptz) AS bucket,
            min(entasis_internal.trade_order(c.opened_at, c.first_trade_id, c.open)) AS opening,
            max(c.high) AS high,
            min(c.low) AS low,
            max(entasis_internal.trade_order(c.closed_at, c.last_trade_id, c.close)) AS closing,
            sum(c.volume) AS volume,
            sum(c.quote_volume) AS quote_volume,
            sum(c.trades)::bigint AS trades,
            min(c.opened_at) AS opened_at,
            max(c.closed_at) AS closed_at
        FROM unnest(candles) AS c
        GROUP BY 1, 2, 3
    ) AS g
);

COMMENT ON FUNCTION entasis_internal.roll_up IS
'Candles of length step, computed from shorter ones that divide it, in key order. NULL if none are given.';
