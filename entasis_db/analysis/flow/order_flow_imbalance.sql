-- Which side took of one market, bucket by bucket.
SELECT
    q.bucket,
    q.trades,
    q.buy_trades,
    q.sell_trades,
    q.volume,
    q.buy_volume,
    q.sell_volume,
    q.imbalance
FROM
    entasis.order_flow_imbalance(
        %(symbol)s::pg_catalog.text,
        %(exchange)s::pg_catalog.text,
        %(interval)s::entasis.candle_interval,
        %(from_time)s::pg_catalog.timestamptz,
        %(to_time)s::pg_catalog.timestamptz
    ) AS q
ORDER BY q.bucket;
