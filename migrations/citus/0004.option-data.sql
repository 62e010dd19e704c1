-- Option quotes.
-- depends: 0003.market-data

SET LOCAL ROLE entasis_owner;

CREATE SEQUENCE IF NOT EXISTS entasis.option_data_id_seq AS bigint;

-- The primary key begins with the columns of the source document's idx_option_data_underlying_expiry and has
-- its name: one index serves as both.
CREATE TABLE IF NOT EXISTS entasis.option_data (
    id bigint NOT NULL DEFAULT nextval('entasis.option_data_id_seq'),
    underlying varchar(64) COLLATE "C" NOT NULL,
    strike_price numeric NOT NULL,
    expiry_date timestamptz NOT NULL,
    option_type varchar(4) COLLATE "C" NOT NULL,
    iv numeric,
    delta numeric,
    gamma numeric,
    theta numeric,
    vega numeric,
    timestamp timestamptz NOT NULL,
    bid_price numeric,
    ask_price numeric,
    mark_price numeric,
    bid_iv numeric,
    ask_iv numeric,
    underlying_price numeric,
    open_interest numeric,
    rho numeric,
    CONSTRAINT idx_option_data_underlying_expiry PRIMARY KEY (
        underlying, expiry_date, strike_price, option_type, timestamp, id
    ),
    CONSTRAINT option_data_underlying_is_name CHECK (
        underlying <> ''
        AND underlying !~ '^\s|\s$|[\u0001-\u001f\u007f-\u00a0\u061c'
        '\u1680\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f-\u2069\u3000\ufeff]'
    ),
    CONSTRAINT option_data_option_type_known CHECK (option_type IN ('call', 'put')),
    -- what the archive can hold, as in market_data
    CONSTRAINT option_data_timestamp_archivable CHECK (
        timestamp >= '2009-01-01 00:00:00+00' AND timestamp < '9999-01-01 00:00:00+00'
    ),
    CONSTRAINT option_data_expiry_date_archivable CHECK (
        expiry_date >= '0001-01-01 00:00:00+00' AND expiry_date < '10000-01-01 00:00:00+00'
    ),
    CONSTRAINT option_data_strike_price_exact CHECK (
        strike_price > 0 AND strike_price < 1e12 AND min_scale(strike_price) <= 12
    ),
    CONSTRAINT option_data_iv_exact CHECK (iv >= 0 AND iv < 1e6 AND min_scale(iv) <= 18),
    CONSTRAINT option_data_delta_exact CHECK (
        delta > -1e12 AND delta < 1e12 AND min_scale(delta) <= 18
    ),
    CONSTRAINT option_data_gamma_exact CHECK (
        gamma > -1e12 AND gamma < 1e12 AND min_scale(gamma) <= 18
    ),
    CONSTRAINT option_data_theta_exact CHECK (
        theta > -1e12 AND theta < 1e12 AND min_scale(theta) <= 18
    ),
    CONSTRAINT option_data_vega_exact CHECK (
        vega > -1e12 AND vega < 1e12 AND min_scale(vega) <= 18
    ),
    CONSTRAINT option_data_bid_price_exact CHECK (
        bid_price >= 0 AND bid_price < 1e20 AND min_scale(bid_price) <= 18
    ),
    CONSTRAINT option_data_ask_price_exact CHECK (
        ask_price >= 0 AND ask_price < 1e20 AND min_scale(ask_price) <= 18
    ),
    CONSTRAINT option_data_mark_price_exact CHECK (
        mark_price >= 0 AND mark_price < 1e20 AND min_scale(mark_price) <= 18
    ),
    CONSTRAINT option_data_bid_iv_exact CHECK (
        bid_iv >= 0 AND bid_iv < 1e6 AND min_scale(bid_iv) <= 18
    ),
    CONSTRAINT option_data_ask_iv_exact CHECK (
        ask_iv >= 0 AND ask_iv < 1e6 AND min_scale(ask_iv) <= 18
    ),
    CONSTRAINT option_data_underlying_price_exact CHECK (
        underlying_price >= 0 AND underlying_price < 1e20 AND min_scale(underlying_price) <= 18
    ),
    CONSTRAINT option_data_open_interest_exact CHECK (
        open_interest >= 0 AND open_interest < 1e20 AND min_scale(open_interest) <= 18
    ),
    CONSTRAINT option_data_rho_exact CHECK (
        rho > -1e12 AND rho < 1e12 AND min_scale(rho) <= 18
    )
) PARTITION BY RANGE (timestamp);

-- Once the table is distributed, Citus refuses it, although it changes nothing then.
DO $owned$
BEGIN
    IF pg_get_serial_sequence('entasis.option_data', 'id') IS NULL THEN
        ALTER SEQUENCE entasis.option_data_id_seq OWNED BY entasis.option_data.id;
    END IF;
END
$owned$;

CREATE INDEX IF NOT EXISTS idx_option_data_strike_type
ON entasis.option_data (strike_price, option_type);

-- Loads of quotes that have no number ask whether some stored at their times have one; most sources give none.
CREATE INDEX IF NOT EXISTS idx_option_data_numbered
ON entasis.option_data (underlying, timestamp) WHERE id <> 0;

-- Once a table is distributed it stays so: there is no IF NOT EXISTS for it.
DO $distribute$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT w.* FROM (
            VALUES
            ('entasis.option_data', 'underlying', 'entasis.market_data')
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
