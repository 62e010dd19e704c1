-- How far one market is below its highest close so far, candle by candle.
SELECT
    q.bucket,
    q.close,
    q.peak,
    q.peak_at,
    q.drawdown
FROM
    entasis.drawdown(
        %(symbol)s::pg_catalog.text,
        %(exchange)s::pg_catalog.text,
        %(interval)s::entasis.candle_interval,
        %(from_time)s::pg_catalog.timestamptz,
        %(to_time)s::pg_catalog.timestamptz
    ) AS q
ORDER BY q.bucket;
