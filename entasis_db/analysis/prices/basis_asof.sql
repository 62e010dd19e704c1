-- Two markets at each of many moments, in their order.
SELECT
    q.number,
    q.moment,
    q.price,
    q.other_price,
    q.spread,
    q.basis,
    q.traded_at,
    q.other_traded_at
FROM
    entasis.basis_asof(
        %(symbol)s::pg_catalog.text,
        %(exchange)s::pg_catalog.text,
        %(other_symbol)s::pg_catalog.text,
        %(other_exchange)s::pg_catalog.text,
        %(moments)s::pg_catalog.timestamptz[],
        %(max_age)s::interval
    ) AS q
ORDER BY q.number;
