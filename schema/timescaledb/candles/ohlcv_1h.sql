-- ohlcv_1m explains why it is written like this.
CREATE MATERIALIZED VIEW IF NOT EXISTS entasis.ohlcv_1h WITH (
    timescaledb.continuous,
    timescaledb.materialized_only = false,
    timescaledb.create_group_indexes = false,
    timescaledb.chunk_interval = '30 days'
) AS
SELECT
    d.symbol,
    d.exchange,
    public.time_bucket('1 hour', d.bucket) AS bucket,
    (min(ARRAY[
        extract(EPOCH FROM d.opened_at - '2000-01-01 00:00:00+00'::timestamptz),
        d.first_trade_id,
        d.open
    ]))[3] AS open,
    max(d.high) AS high,
    min(d.low) AS low,
    (max(ARRAY[
        extract(EPOCH FROM d.closed_at - '2000-01-01 00:00:00+00'::timestamptz),
        d.last_trade_id,
        d.close
    ]))[3] AS close,
    sum(d.volume) AS volume,
    sum(d.quote_volume) AS quote_volume,
    sum(d.trades)::bigint AS trades,
    min(d.opened_at) AS opened_at,
    (min(ARRAY[
        extract(EPOCH FROM d.opened_at - '2000-01-01 00:00:00+00'::timestamptz),
        d.first_trade_id,
        d.open
    ]))[2]::bigint AS first_trade_id,
    max(d.closed_at) AS closed_at,
    (max(ARRAY[
        extract(EPOCH FROM d.closed_at - '2000-01-01 00:00:00+00'::timestamptz),
        d.last_trade_id,
        d.close
    ]))[2]::bigint AS last_trade_id
FROM entasis.ohlcv_1m AS d
GROUP BY 1, 2, 3
WITH NO DATA;

CREATE INDEX IF NOT EXISTS ohlcv_1h_key ON entasis.ohlcv_1h (symbol, exchange, bucket);
