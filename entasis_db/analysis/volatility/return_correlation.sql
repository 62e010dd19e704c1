-- How the returns of one market go with those of another: one row.
SELECT
    q.returns,
    q.correlation,
    q.beta
FROM
    entasis.return_correlation(
        %(symbol)s::pg_catalog.text,
        %(exchange)s::pg_catalog.text,
        %(other_symbol)s::pg_catalog.text,
        %(other_exchange)s::pg_catalog.text,
        %(interval)s::entasis.candle_interval,
        %(from_time)s::pg_catalog.timestamptz,
        %(to_time)s::pg_catalog.timestamptz
    ) AS q;
