-- The closes of two markets in the buckets in which both have trades.
SELECT
    q.bucket,
    q.price,
    q.other_price,
    q.spread,
    q.basis,
    q.traded_at,
    q.other_traded_at
FROM
    entasis.basis(
        %(symbol)s::pg_catalog.text,
        %(exchange)s::pg_catalog.text,
        %(other_symbol)s::pg_catalog.text,
        %(other_exchange)s::pg_catalog.text,
        %(interval)s::entasis.candle_interval,
        %(from_time)s::pg_catalog.timestamptz,
        %(to_time)s::pg_catalog.timestamptz
    ) AS q
ORDER BY q.bucket;
