-- Trades, and the candles that are kept of them.
-- depends: 0002.engine

SET LOCAL ROLE entasis_owner;

CREATE SEQUENCE IF NOT EXISTS entasis.market_data_id_seq AS bigint;

-- min_scale, not scale: trailing zeros are harmless, and scale() of NaN is NULL, which a CHECK
-- takes for a yes. Two-sided bounds refuse NaN, which sorts above every number, and the infinities.
CREATE TABLE IF NOT EXISTS entasis.market_data (
    id bigint NOT NULL DEFAULT nextval('entasis.market_data_id_seq'),
    symbol varchar(20) COLLATE "C" NOT NULL,
    exchange varchar(20) COLLATE "C" NOT NULL,
    timestamp timestamptz NOT NULL,
    price numeric NOT NULL,
    volume numeric NOT NULL,
    created_at timestamptz NOT NULL DEFAULT current_timestamp,
    CONSTRAINT market_data_pkey PRIMARY KEY (symbol, exchange, timestamp, id),
    CONSTRAINT market_data_symbol_not_empty CHECK (symbol <> ''),
    CONSTRAINT market_data_exchange_not_empty CHECK (exchange <> ''),
    CONSTRAINT market_data_timestamp_finite CHECK (isfinite(timestamp)),
    CONSTRAINT market_data_price_exact CHECK (
        price > 0 AND price < 1e12 AND min_scale(price) <= 12
    ),
    CONSTRAINT market_data_volume_exact CHECK (
        volume > 0 AND volume < 1e12 AND min_scale(volume) <= 12
    )
);

ALTER SEQUENCE entasis.market_data_id_seq OWNED BY entasis.market_data.id;

-- Seven days: at a thousand trades a second, the indexes of the chunk that is written to stay within
-- some tens of GB, and a month of history is a handful of chunks. Chunks begin on Thursdays, 00:00
-- UTC, so no day, and no candle of a day, is cut in two.
DO $hypertable$
BEGIN
    PERFORM public.create_hypertable(
        'entasis.market_data',
        public.by_range('timestamp', interval '7 days'),
        create_default_indexes => false,
        if_not_exists => true
    );
END
$hypertable$;

CREATE INDEX IF NOT EXISTS idx_market_data_symbol_timestamp
ON entasis.market_data (symbol, timestamp DESC);

CREATE INDEX IF NOT EXISTS idx_market_data_exchange_timestamp
ON entasis.market_data (exchange, timestamp DESC);

-- One market's trades in the order of their candles' minutes lie together.
ALTER TABLE entasis.market_data SET (
    timescaledb.enable_columnstore = true,
    timescaledb.segmentby = 'symbol, exchange',
    timescaledb.orderby = 'timestamp, id'
);

-- The first price is the one at the smallest (timestamp, id): an array of three compares as they do.
-- TimescaleDB's first() would take a row (timestamp, id), but a candle that is partly computed when
-- it is read fails with it, and its order by timestamp alone leaves ties to chance. The difference
-- to a fixed moment, because what depends on the session's zone has no place in an aggregate.
-- Minutes are chunks of 30 days, not the ten times 7 that would be the default, so that they go in
-- time when they are past their keep period.
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
GROUP BY 1, 2, 3
WITH NO DATA;

CREATE INDEX IF NOT EXISTS ohlcv_1m_key ON entasis.ohlcv_1m (symbol, exchange, bucket);

-- half a billion minutes a year; hours and days are few
ALTER MATERIALIZED VIEW entasis.ohlcv_1m SET (
    timescaledb.enable_columnstore = true,
    timescaledb.segmentby = 'symbol, exchange',
    timescaledb.orderby = 'bucket'
);

-- The aggregate below it says why it is written like this.
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

-- The aggregate below it says why it is written like this.
CREATE MATERIALIZED VIEW IF NOT EXISTS entasis.ohlcv_1d WITH (
    timescaledb.continuous,
    timescaledb.materialized_only = false,
    timescaledb.create_group_indexes = false,
    timescaledb.chunk_interval = '30 days'
) AS
SELECT
    d.symbol,
    d.exchange,
    public.time_bucket('1 day', d.bucket) AS bucket,
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
FROM entasis.ohlcv_1h AS d
GROUP BY 1, 2, 3
WITH NO DATA;

CREATE INDEX IF NOT EXISTS ohlcv_1d_key ON entasis.ohlcv_1d (symbol, exchange, bucket);

-- TimescaleDB's own statistics say how a job ended, not what it did: on some pairs of versions every
-- job that commits ends as failed although its work stands.
CREATE TABLE IF NOT EXISTS entasis_internal.last_refresh (
    only_row boolean NOT NULL DEFAULT true,
    started_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,
    CONSTRAINT last_refresh_pkey PRIMARY KEY (only_row),
    CONSTRAINT last_refresh_only_row CHECK (only_row)
);
