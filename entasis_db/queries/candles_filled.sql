-- As candles, with a flat candle for every bucket without a trade: what a chart or a model wants that
-- cannot bear gaps. Nothing stands before the market's first trade, and nothing after now.
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
    entasis.candles_filled(
        %(symbol)s::pg_catalog.text,
        %(exchange)s::pg_catalog.text,
        %(interval)s::entasis.candle_interval,
        %(from_time)s::pg_catalog.timestamptz,
        %(to_time)s::pg_catalog.timestamptz
    ) AS c
ORDER BY c.bucket;
