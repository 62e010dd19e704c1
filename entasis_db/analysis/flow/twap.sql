-- The average price of one market, weighted by time: one row.
SELECT
    q.starts_at,
    q.ends_at,
    q.trades,
    q.twap
FROM
    entasis.twap(
        %(symbol)s::pg_catalog.text,
        %(exchange)s::pg_catalog.text,
        %(from_time)s::pg_catalog.timestamptz,
        %(to_time)s::pg_catalog.timestamptz,
        %(max_age)s::interval
    ) AS q;
