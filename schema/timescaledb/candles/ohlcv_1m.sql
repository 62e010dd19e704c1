-- The opening price is that of the smallest (timestamp, id), found with an array of three, as in
-- trade_order(). That function is not called, because the definition of an aggregate is state: it would
-- depend on a function that every migration run replaces, and its expressions must be IMMUTABLE, hence the
-- difference to a fixed moment. TimescaleDB's first() accepts a row (timestamp, id), but a real-time
-- aggregate fails with it when a candle is partly computed at read time, and ordering by timestamp alone
-- would leave ties to chance.
-- Chunks of minutes have 30 days instead of the default, ten times 7, so that they can be dropped soon after
-- their keep period.
CREATE MATERIALIZED VIEW IF NOT EXISTS entasis.ohlcv_1m WITH (
    timescaledb.continuous,
    timescaledb.materialized_only = false,
    timescaledb.create_group_indexes = false,
    timescaledb.chunk_interval = '30 days'
) AS
SELECT
    d.symbol,
    d.exchange,
    public.time_bucket('1 minute', d.timestamp) AS bucket,
    (min(ARRAY[
        extract(EPOCH FROM d.timestamp - '2000-01-01 00:00:00+00'::timestamptz), d.id, d.price
    ]))[3] AS open,
    max(d.price) AS high,
    min(d.price) AS low,
    (max(ARRAY[
        extract(EPOCH FROM d.timestamp - '2000-01-01 00:00:00+00'::timestamptz), d.id, d.price
    ]))[3] AS close,
    sum(d.volume) AS volume,
    sum(d.price * d.volume) AS quote_volume,
    count(*) AS trades,
    min(d.timestamp) AS opened_at,
    (min(ARRAY[
        extract(EPOCH FROM d.timestamp - '2000-01-01 00:00:00+00'::timestamptz), d.id, d.price
    ]))[2]::bigint AS first_trade_id,
    max(d.timestamp) AS closed_at,
    (max(ARRAY[
        extract(EPOCH FROM d.timestamp - '2000-01-01 00:00:00+00'::timestamptz), d.id, d.price
    ]))[2]::bigint AS last_trade_id
FROM entasis.market_data AS d
WHERE d.excluded IS null
GROUP BY 1, 2, 3
WITH NO DATA;

CREATE INDEX IF NOT EXISTS ohlcv_1m_key ON entasis.ohlcv_1m (symbol, exchange, bucket);

-- half a billion minutes a year; hours and days are few
ALTER MATERIALIZED VIEW entasis.ohlcv_1m SET (
    timescaledb.enable_columnstore = true,
    timescaledb.segmentby = 'symbol, exchange',
    timescaledb.orderby = 'bucket'
);
