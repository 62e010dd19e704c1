-- The implied volatility at the money of one length of time ahead, day by day.
SELECT
    h.day,
    h.iv
FROM
    entasis.iv_history(
        %(underlying)s::pg_catalog.text,
        %(from_time)s::pg_catalog.timestamptz,
        %(to_time)s::pg_catalog.timestamptz,
        %(tenor)s::interval,
        %(max_age)s::interval
    ) AS h
ORDER BY h.day;
