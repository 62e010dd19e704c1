-- Four estimates of the volatility of one market: one row.
SELECT
    q.candles,
    q.returns,
    q.periods_per_year,
    q.close_to_close,
    q.parkinson,
    q.garman_klass,
    q.yang_zhang
FROM
    entasis.realized_volatility(
        %(symbol)s::pg_catalog.text,
        %(exchange)s::pg_catalog.text,
        %(interval)s::entasis.candle_interval,
        %(from_time)s::pg_catalog.timestamptz,
        %(to_time)s::pg_catalog.timestamptz,
        %(periods_per_year)s::pg_catalog.numeric
    ) AS q;
