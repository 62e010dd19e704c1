-- The average price of one market, weighted by volume: one row.
SELECT
    q.trades,
    q.volume,
    q.quote_volume,
    q.vwap
FROM
    entasis.vwap(
        %(symbol)s::pg_catalog.text,
        %(exchange)s::pg_catalog.text,
        %(from_time)s::pg_catalog.timestamptz,
        %(to_time)s::pg_catalog.timestamptz
    ) AS q;
