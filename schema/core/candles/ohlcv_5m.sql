CREATE OR REPLACE VIEW entasis.ohlcv_5m WITH (security_invoker = true) AS
SELECT
    c.symbol,
    c.exchange,
    entasis.candle_bucket('5m', c.bucket) AS bucket,
    (min(entasis_internal.trade_order(c.opened_at, c.first_trade_id, c.open)))[3] AS open,
    max(c.high) AS high,
    min(c.low) AS low,
    (max(entasis_internal.trade_order(c.closed_at, c.last_trade_id, c.close)))[3] AS close,
    sum(c.volume) AS volume,
    sum(c.quote_volume) AS quote_volume,
    sum(c.trades)::bigint AS trades,
    min(c.opened_at) AS opened_at,
    (min(entasis_internal.trade_order(c.opened_at, c.first_trade_id, c.open)))[2]::bigint
        AS first_trade_id,
    max(c.closed_at) AS closed_at,
    (max(entasis_internal.trade_order(c.closed_at, c.last_trade_id, c.close)))[2]::bigint
        AS last_trade_id
FROM entasis.ohlcv_1m AS c
GROUP BY 1, 2, 3
HAVING
    entasis.candle_bucket('5m', c.bucket) >= (SELECT entasis_internal.candles_known_from('5m'))
    OR entasis_internal.is_known_below_floor(
        '5m', c.symbol, c.exchange, entasis.candle_bucket('5m', c.bucket)
    );

COMMENT ON VIEW entasis.ohlcv_5m IS
'Candles of 5 minutes (UTC), computed from ohlcv_1m when read. A bucket that starts below the floor of ohlcv_1m has no row. To read a range of time, use entasis.candles(), which reads only the partitions of the range.';
