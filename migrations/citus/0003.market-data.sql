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
    -- what the archive can hold: a month with any other row could never be archived, nor dropped
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
) PARTITION BY RANGE (timestamp);

-- Once the table is distributed, Citus refuses it, although it changes nothing then.
DO $owned$
BEGIN
    IF pg_get_serial_sequence('entasis.market_data', 'id') IS NULL THEN
        ALTER SEQUENCE entasis.market_data_id_seq OWNED BY entasis.market_data.id;
    END IF;
END
$owned$;

CREATE INDEX IF NOT EXISTS idx_market_data_exchange_timestamp
ON entasis.market_data (exchange, timestamp DESC);

-- What no candle counts, which is little: where a market's trades are looked for by its candles, these are found by it.
CREATE INDEX IF NOT EXISTS idx_market_data_excluded
ON entasis.market_data (symbol, exchange, timestamp) WHERE excluded IS NOT NULL;

-- The transition tables of MERGE are wrong for moved rows: after an INSERT action, the new table of the
-- UPDATE trigger contains the inserted row instead of the updated one, and a trade that moves to another
-- partition is in neither table. A row trigger records moves here, and the statement trigger reads them.
-- Logged, although rows do not outlive their statement: a shard with an unlogged table cannot move while it is written.
CREATE TABLE IF NOT EXISTS entasis_internal.moved_trades (
    transaction_id xid8 NOT NULL,
    symbol varchar(64) COLLATE "C" NOT NULL,
    exchange varchar(64) COLLATE "C" NOT NULL,
    timestamp timestamptz NOT NULL,
    CONSTRAINT moved_trades_pkey PRIMARY KEY (transaction_id, symbol, exchange, timestamp)
);

-- A setting would do, but any session may set one, in the middle of a statement too. A transaction leaves its row
-- behind, since nothing runs at its end; the next one of its backend removes it. Logged, although the row means nothing
-- after its transaction: a shard with an unlogged table cannot move while it is written.
CREATE TABLE IF NOT EXISTS entasis_internal.recomputing (
    symbol varchar(64) COLLATE "C" NOT NULL,
    backend integer NOT NULL,
    transaction_id xid8 NOT NULL,
    CONSTRAINT recomputing_pkey PRIMARY KEY (symbol, backend, transaction_id)
);

-- A row with trades = 0 is a placeholder: it locks a bucket while its candle is recomputed, and is filled or
-- deleted before the statement ends. Other transactions never see one.
CREATE TABLE IF NOT EXISTS entasis.ohlcv_1m (
    symbol varchar(64) COLLATE "C" NOT NULL,
    exchange varchar(64) COLLATE "C" NOT NULL,
    bucket timestamptz NOT NULL,
    open numeric NOT NULL,
    high numeric NOT NULL,
    low numeric NOT NULL,
    close numeric NOT NULL,
    volume numeric NOT NULL,
    quote_volume numeric NOT NULL,
    trades bigint NOT NULL,
    opened_at timestamptz NOT NULL,
    first_trade_id bigint NOT NULL,
    closed_at timestamptz NOT NULL,
    last_trade_id bigint NOT NULL,
    CONSTRAINT ohlcv_1m_pkey PRIMARY KEY (symbol, exchange, bucket)
) PARTITION BY RANGE (bucket);

-- the columns of minutes, so that candles of all intervals have one row type
CREATE TABLE IF NOT EXISTS entasis.ohlcv_1h (
    LIKE entasis.ohlcv_1m,
    CONSTRAINT ohlcv_1h_pkey PRIMARY KEY (symbol, exchange, bucket)
) PARTITION BY RANGE (bucket);

-- the columns of minutes, so that candles of all intervals have one row type
CREATE TABLE IF NOT EXISTS entasis.ohlcv_1d (
    LIKE entasis.ohlcv_1m,
    CONSTRAINT ohlcv_1d_pkey PRIMARY KEY (symbol, exchange, bucket)
) PARTITION BY RANGE (bucket);

-- Once a table is distributed it stays so: there is no IF NOT EXISTS for it.
DO $distribute$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT w.* FROM (
            VALUES
            ('entasis.market_data', 'symbol', 'none'),
            ('entasis.markets', 'symbol', 'entasis.market_data'),
            ('entasis_internal.moved_trades', 'symbol', 'entasis.market_data'),
            ('entasis_internal.recomputing', 'symbol', 'entasis.market_data'),
            ('entasis.ohlcv_1m', 'symbol', 'entasis.market_data'),
            ('entasis.ohlcv_1h', 'symbol', 'entasis.market_data'),
            ('entasis.ohlcv_1d', 'symbol', 'entasis.market_data')
        ) AS w (relation, shard_key, beside)
    LOOP
        IF NOT EXISTS (
            SELECT FROM pg_dist_partition AS p WHERE p.logicalrelid = wanted.relation::regclass
        ) THEN
            PERFORM create_distributed_table(wanted.relation, wanted.shard_key, colocate_with => wanted.beside);
        END IF;
    END LOOP;
END
$distribute$;

-- What is read on shards of entasis.floors, entasis.reopened and entasis.restores, which are the coordinator's: copies on every node,
-- written by triggers of those tables.
CREATE TABLE IF NOT EXISTS entasis_internal.shard_floors (
    relation text NOT NULL,
    floor timestamptz NOT NULL,
    CONSTRAINT shard_floors_pkey PRIMARY KEY (relation)
);

CREATE TABLE IF NOT EXISTS entasis_internal.shard_reopened (
    relation text NOT NULL,
    symbol text COLLATE "C",
    exchange text COLLATE "C",
    from_time timestamptz NOT NULL,
    to_time timestamptz NOT NULL,
    CONSTRAINT shard_reopened_once UNIQUE NULLS NOT DISTINCT (
        relation, symbol, exchange, from_time, to_time
    )
);

CREATE TABLE IF NOT EXISTS entasis_internal.shard_restored (
    relation text NOT NULL,
    from_time timestamptz NOT NULL,
    to_time timestamptz NOT NULL,
    CONSTRAINT shard_restored_pkey PRIMARY KEY (relation, from_time, to_time)
);

-- Once a table is a reference table it stays so: there is no IF NOT EXISTS for it.
DO $distribute$
DECLARE
    wanted regclass;
BEGIN
    FOREACH wanted IN ARRAY ARRAY[
        'entasis_internal.shard_floors'::regclass, 'entasis_internal.shard_reopened'::regclass,
        'entasis_internal.shard_restored'::regclass
    ] LOOP
        IF NOT EXISTS (
            SELECT FROM pg_dist_partition AS p WHERE p.logicalrelid = wanted
        ) THEN
            PERFORM create_reference_table(wanted);
        END IF;
    END LOOP;
END
$distribute$;

INSERT INTO entasis_internal.shard_floors (relation, floor)
SELECT
    f.relation,
    f.floor
FROM entasis.floors AS f
ON CONFLICT (relation) DO NOTHING;
