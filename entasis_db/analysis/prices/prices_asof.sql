-- The price of one market at each of many moments, in their order.
SELECT
    a.number,
    a.moment,
    a.price,
    a.traded_at,
    a.trade_id
FROM
    entasis.prices_asof(
        %(symbol)s::pg_catalog.text,
        %(exchange)s::pg_catalog.text,
        %(moments)s::pg_catalog.timestamptz[],
        %(max_age)s::interval
    ) AS a
ORDER BY a.number;
