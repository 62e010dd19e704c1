-- The bars of a number of trades of one market in [from_time, to_time).
SELECT
    c.number,
    c.symbol,
    c.exchange,
    c.opened_at,
    c.first_trade_id,
    c.closed_at,
    c.last_trade_id,
    c.open,
    c.high,
    c.low,
    c.close,
    c.volume,
    c.quote_volume,
    c.trades,
    c.is_complete
FROM
    entasis.tick_bars(
        %(symbol)s::pg_catalog.text,
        %(exchange)s::pg_catalog.text,
        %(size)s::pg_catalog.int8,
        %(from_time)s::pg_catalog.timestamptz,
        %(to_time)s::pg_catalog.timestamptz
    ) AS c
ORDER BY c.number;
