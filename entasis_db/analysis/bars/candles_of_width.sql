-- The candles of one market of any width whose buckets begin in [from_time, to_time).
SELECT
    c.symbol,
    c.exchange,
    c.bucket,
    c.ends_at,
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
    c.turnover,
    c.vwap
FROM
    entasis.candles_of_width(
        %(symbol)s::pg_catalog.text,
        %(exchange)s::pg_catalog.text,
        %(width)s::interval,
        %(from_time)s::pg_catalog.timestamptz,
        %(to_time)s::pg_catalog.timestamptz,
        %(origin)s::pg_catalog.timestamp,
        %(zone)s::pg_catalog.text
    ) AS c
ORDER BY c.bucket;
