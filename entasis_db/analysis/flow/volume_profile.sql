-- What was traded of one market at each step of prices.
SELECT
    q.price_from,
    q.price_to,
    q.trades,
    q.volume,
    q.quote_volume,
    q.buy_volume,
    q.sell_volume
FROM
    entasis.volume_profile(
        %(symbol)s::pg_catalog.text,
        %(exchange)s::pg_catalog.text,
        %(step)s::pg_catalog.numeric,
        %(from_time)s::pg_catalog.timestamptz,
        %(to_time)s::pg_catalog.timestamptz
    ) AS q
ORDER BY q.price_from;
