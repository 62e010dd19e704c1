-- How the price moved after each trade of one market.
SELECT
    q.timestamp,
    q.id,
    q.side,
    q.price,
    q.volume,
    q.horizon,
    q.moment,
    q.price_then,
    q.traded_at,
    q.move,
    q.markout,
    q.markout_return
FROM
    entasis.trade_markouts(
        %(symbol)s::pg_catalog.text,
        %(exchange)s::pg_catalog.text,
        %(horizons)s::interval[],
        %(from_time)s::pg_catalog.timestamptz,
        %(to_time)s::pg_catalog.timestamptz,
        %(max_age)s::interval
    ) AS q
ORDER BY q.timestamp, q.id, q.horizon;
