-- Trades, and the candles that are kept of them.
-- depends: 0002.engine

SET LOCAL ROLE entasis_owner;

CREATE SEQUENCE IF NOT EXISTS entasis.market_data_id_seq AS bigint;

-- min_scale instead of scale: trailing zeros are harmless, and scale() of NaN is NULL, which passes a CHECK.
-- Bounds on both sides refuse NaN, which sorts above every number, and the infinities.
CREATE TABLE IF NOT EXISTS entasis.market_data (
    id bigint NOT NULL DEFAULT nextval('entasis.market_data_id_seq'),
    symbol varchar(64) COLLATE "C" NOT NULL,
    exchange varchar(64) COLLATE "C" NOT NULL,
    timestamp timestamptz NOT NULL,
    price numeric NOT NULL,
    volume numeric NOT NULL,
    created_at timestamptz NOT NULL DEFAULT current_timestamp,
    side text COLLATE "C",
    source_id varchar(128) COLLATE "C",
    excluded text COLLATE "C",
    -- the document's index too, read backwards: a key cannot be declared DESC
    CONSTRAINT idx_market_data_symbol_timestamp PRIMARY KEY (symbol, timestamp, exchange, id),
    CONSTRAINT market_data_symbol_is_name CHECK (
        symbol <> ''
        AND symbol !~ '^\s|\s$|[\u0001-\u001f\u007f-\u00a0\u061c'
        '\u1680\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f-\u2069\u3000\ufeff]'
    ),
    CONSTRAINT market_data_exchange_is_name CHECK (
        exchange <> ''
        AND exchange !~ '^\s|\s$|[\u0001-\u001f\u007f-\u00a0\u061c'
        '\u1680\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f-\u2069\u3000\ufeff]'
    ),
    -- what the archive can hold: a chunk with any other row could never be archived, nor dropped
    CONSTRAINT market_data_timestamp_archivable CHECK (
        timestamp >= '2009-01-01 00:00:00+00' AND timestamp < '9999-01-01 00:00:00+00'
    ),
    -- clock_timestamp(): now() is when the transaction began, and would refuse what happened since. The
    -- allowance is for clocks that differ.
    CONSTRAINT market_data_timestamp_not_future CHECK (
        timestamp <= clock_timestamp() + interval '5 minutes'
    ),
    CONSTRAINT market_data_created_at_archivable CHECK (
        created_at >= '0001-01-01 00:00:00+00' AND created_at < '10000-01-01 00:00:00+00'
    ),
    -- of 0 and below in combos and spreads only: see check_price_sign()
    CONSTRAINT market_data_price_exact CHECK (
        price > -1e20 AND price < 1e20 AND min_scale(price) <= 18
    ),
    CONSTRAINT market_data_volume_exact CHECK (
        volume > 0 AND volume < 1e20 AND min_scale(volume) <= 18
    ),
    CONSTRAINT market_data_side_known CHECK (side IN ('buy', 'sell')),
    CONSTRAINT market_data_source_id_is_name CHECK (
        source_id <> ''
        AND source_id !~ '^\s|\s$|[\u0001-\u001f\u007f-\u00a0\u061c'
        '\u1680\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f-\u2069\u3000\ufeff]'
    ),
    CONSTRAINT market_data_excluded_is_word CHECK (excluded ~ '^[a-z][a-z0-9_]{0,31}$')
);

ALTER SEQUENCE entasis.market_data_id_seq OWNED BY entasis.market_data.id;

-- Seven days: at a thousand trades a second, the indexes of the chunk that is written to stay within some
-- tens of GB, and a month is about four chunks. Chunks begin on Thursdays, 00:00 UTC, so that no day, and no
-- candle of a day, is split.
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

CREATE INDEX IF NOT EXISTS idx_market_data_exchange_timestamp
ON entasis.market_data (exchange, timestamp DESC);

-- Trades of a market are stored together, in the order of time.
ALTER TABLE entasis.market_data SET (
    timescaledb.enable_columnstore = true,
    timescaledb.segmentby = 'symbol, exchange',
    timescaledb.orderby = 'timestamp, id'
);

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

-- ohlcv_1m explains why it is written like this.
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

-- TimescaleDB's statistics record how a job ended, not what it did: with some pairs of versions every job
-- that commits ends as failed although its changes are committed.
CREATE TABLE IF NOT EXISTS entasis_internal.last_refresh (
    only_row boolean NOT NULL DEFAULT true,
    started_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,
    CONSTRAINT last_refresh_pkey PRIMARY KEY (only_row),
    CONSTRAINT last_refresh_only_row CHECK (only_row)
);

-- What a session has set here it alone reads, by currval(), and only the owner may set it.
CREATE SEQUENCE IF NOT EXISTS entasis_internal.row_notifications_left MINVALUE 0;

-- A chunk that was dropped by hand is made again by the next late row, with the same bounds: only its name is
-- another one.
CREATE TABLE IF NOT EXISTS entasis_internal.lost_ranges (
    relation text NOT NULL,
    partition_name name NOT NULL,
    ranges tstzmultirange NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT lost_ranges_pkey PRIMARY KEY (relation, partition_name)
);
