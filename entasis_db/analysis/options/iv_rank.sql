-- Where implied volatility at the money stands among that of the days before.
SELECT
    r.iv,
    r.low,
    r.high,
    r.day_count,
    r.rank,
    r.percentile
FROM
    entasis.iv_rank(
        %(underlying)s::pg_catalog.text,
        %(at)s::pg_catalog.timestamptz,
        %(lookback)s::interval,
        %(tenor)s::interval,
        %(max_age)s::interval
    ) AS r;
