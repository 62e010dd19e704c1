-- What one market did from candle to candle.
SELECT
    q.bucket,
    q.close,
    q.previous_close,
    q.simple_return,
    q.log_return
FROM
    entasis.returns(
        %(symbol)s::pg_catalog.text,
        %(exchange)s::pg_catalog.text,
        %(interval)s::entasis.candle_interval,
        %(from_time)s::pg_catalog.timestamptz,
        %(to_time)s::pg_catalog.timestamptz
    ) AS q
ORDER BY q.bucket;
