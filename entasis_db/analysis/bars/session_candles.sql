-- The candles of one market of the sessions that open in [from_time, to_time).
SELECT
    c.session_opens_at,
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
    entasis.session_candles(
        %(symbol)s::pg_catalog.text,
        %(exchange)s::pg_catalog.text,
        %(opens)s::pg_catalog.time,
        %(closes)s::pg_catalog.time,
        %(from_time)s::pg_catalog.timestamptz,
        %(to_time)s::pg_catalog.timestamptz,
        %(zone)s::pg_catalog.text,
        %(weekdays)s::pg_catalog.int4[],
        %(width)s::interval
    ) AS c
ORDER BY c.bucket;
