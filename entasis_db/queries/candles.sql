-- The candles of one market whose buckets begin in [from_time, to_time). The function is inlined here,
-- so that the key's index gives the order of stored candles and nothing is sorted.
SELECT
    c.symbol,
    c.exchange,
    c.bucket,
    c.open,
    c.high,
    c.low,
    c.close,
    c.volume,
    c.quote_volume,
    c.trades,
    c.opened_at,
    c.first_trade_id,
    c.closed_at,
    c.last_trade_id,
    c.turnover
FROM
    entasis.candles(
        %(symbol)s::pg_catalog.text,
        %(exchange)s::pg_catalog.text,
        %(interval)s::entasis.candle_interval,
        %(from_time)s::pg_catalog.timestamptz,
        %(to_time)s::pg_catalog.timestamptz
    ) AS c
ORDER BY c.bucket;
