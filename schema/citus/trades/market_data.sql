CREATE SEQUENCE IF NOT EXISTS entasis.market_data_id_seq AS bigint;

-- min_scale instead of scale: trailing zeros are harmless, and scale() of NaN is NULL, which passes a CHECK.
-- Bounds on both sides refuse NaN, which sorts above every number, and the infinities.
-- What symbol and exchange may be is asked once a market: see record_traded_markets().
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

ALTER SEQUENCE entasis.market_data_id_seq OWNED BY entasis.market_data.id;

CREATE INDEX IF NOT EXISTS idx_market_data_exchange_timestamp
ON entasis.market_data (exchange, timestamp DESC);

-- What no candle counts, which is little: where a market's trades are looked for by its candles, these are found by it.
CREATE INDEX IF NOT EXISTS idx_market_data_excluded
ON entasis.market_data (symbol, exchange, timestamp) WHERE excluded IS NOT NULL;

-- Once a table is distributed it stays so: there is no IF NOT EXISTS for it.
DO $distribute$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_dist_partition AS p
        WHERE p.logicalrelid = 'entasis.market_data'::regclass
    ) THEN
        PERFORM create_distributed_table('entasis.market_data', 'symbol', colocate_with => 'none');
    END IF;
END
$distribute$;

-- Once a table is distributed it stays so: there is no IF NOT EXISTS for it.
DO $distribute$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_dist_partition AS p
        WHERE p.logicalrelid = 'entasis.markets'::regclass
    ) THEN
        PERFORM create_distributed_table('entasis.markets', 'symbol', colocate_with => 'entasis.market_data');
    END IF;
END
$distribute$;
