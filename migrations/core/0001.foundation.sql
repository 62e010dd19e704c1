-- What every engine keeps beside the market data: the texts of migrations, the engine that was chosen,
-- keep periods and floors, quarantine, and how each market numbers its trades.

SET LOCAL ROLE entasis_owner;

-- the text of this file is recorded in it at the end of this transaction
CREATE TABLE IF NOT EXISTS entasis_migrations.checksums (
    migration text NOT NULL,
    sha256 text NOT NULL,
    CONSTRAINT checksums_pkey PRIMARY KEY (migration),
    CONSTRAINT checksums_sha256_hexadecimal CHECK (sha256 ~ '^[0-9a-f]{64}$')
);

-- An enum, so that a misspelt interval is an error instead of an empty result.
DO $type$
BEGIN
    IF to_regtype('entasis.candle_interval') IS NULL THEN
        CREATE TYPE entasis.candle_interval AS ENUM (
            '1m', '5m', '15m', '30m', '1h', '4h', '1d', '1w', '1mo'
        );
    END IF;
END
$type$;

CREATE TABLE IF NOT EXISTS entasis.installation (
    only_row boolean NOT NULL DEFAULT true,
    engine text NOT NULL,
    installed_at timestamptz NOT NULL DEFAULT current_timestamp,
    release text,
    applied_at timestamptz,
    CONSTRAINT installation_pkey PRIMARY KEY (only_row),
    CONSTRAINT installation_only_row CHECK (only_row)
);

CREATE TABLE IF NOT EXISTS entasis.keep_periods (
    relation text NOT NULL,
    keep interval,
    archived boolean NOT NULL DEFAULT true,
    months_ahead integer NOT NULL DEFAULT 3,
    derived_from text,
    CONSTRAINT keep_periods_pkey PRIMARY KEY (relation),
    CONSTRAINT keep_periods_derived_from_fkey FOREIGN KEY (derived_from)
    REFERENCES entasis.keep_periods (relation),
    CONSTRAINT keep_periods_relation_known CHECK (
        relation IN (
            'market_data', 'option_data', 'ohlcv_1m', 'ohlcv_1h', 'ohlcv_1d',
            'exchange_candles', 'predictions', 'portfolio_status', 'quarantine', 'past_retention',
            'maintenance_log', 'runs'
        )
    ),
    -- subtracting much more than a thousand years may leave the range of timestamps
    CONSTRAINT keep_periods_keep_sane CHECK (keep > interval '0' AND keep <= interval '1000 years'),
    CONSTRAINT keep_periods_months_ahead_sane CHECK (months_ahead BETWEEN 1 AND 120)
);

-- the source document's retention policy; a DBA updates the rows, and migrations never reset them
INSERT INTO entasis.keep_periods (relation, keep) VALUES
('market_data', '3 months'),
('option_data', '3 months')
ON CONFLICT (relation) DO NOTHING;

INSERT INTO entasis.keep_periods (relation, keep, derived_from) VALUES
('ohlcv_1m', '1 year', 'market_data'),
('ohlcv_1h', '1 year', 'market_data'),
('ohlcv_1d', '1 year', 'market_data')
ON CONFLICT (relation) DO NOTHING;

-- kept for ever until a DBA sets a period; all but the first have no partitions
INSERT INTO entasis.keep_periods (relation) VALUES
('exchange_candles'),
('predictions'), ('portfolio_status'), ('quarantine'), ('past_retention'), ('maintenance_log')
ON CONFLICT (relation) DO NOTHING;

INSERT INTO entasis.keep_periods (relation, keep, archived) VALUES ('runs', '90 days', false)
ON CONFLICT (relation) DO NOTHING;

CREATE TABLE IF NOT EXISTS entasis.floors (
    relation text NOT NULL,
    floor timestamptz NOT NULL DEFAULT '-infinity',
    raised_at timestamptz,
    CONSTRAINT floors_pkey PRIMARY KEY (relation),
    CONSTRAINT floors_relation_fkey FOREIGN KEY (relation) REFERENCES entasis.keep_periods (
        relation
    )
);

-- the partitioned relations
INSERT INTO entasis.floors (relation) VALUES
('market_data'), ('option_data'), ('ohlcv_1m'), ('ohlcv_1h'), ('ohlcv_1d'), ('exchange_candles')
ON CONFLICT (relation) DO NOTHING;

CREATE TABLE IF NOT EXISTS entasis.reopened (
    relation text NOT NULL,
    symbol text COLLATE "C",
    exchange text COLLATE "C",
    from_time timestamptz NOT NULL,
    to_time timestamptz NOT NULL,
    keep_until timestamptz NOT NULL,
    opened_at timestamptz,
    CONSTRAINT reopened_once UNIQUE NULLS NOT DISTINCT (
        relation, symbol, exchange, from_time, to_time
    ),
    CONSTRAINT reopened_relation_fkey FOREIGN KEY (relation) REFERENCES entasis.floors (relation),
    CONSTRAINT reopened_relation_written CHECK (relation IN ('market_data', 'option_data')),
    CONSTRAINT reopened_market_whole CHECK (
        num_nonnulls(symbol, exchange) = 0
        OR (
            num_nonnulls(symbol) = 1
            AND num_nonnulls(exchange) = CASE relation WHEN 'option_data' THEN 0 ELSE 1 END
        )
    ),
    CONSTRAINT reopened_bounds_sane CHECK (
        from_time < to_time AND isfinite(from_time) AND isfinite(to_time)
    )
);

CREATE TABLE IF NOT EXISTS entasis.past_retention (
    relation text NOT NULL,
    source text NOT NULL,
    symbol text COLLATE "C" NOT NULL,
    exchange text COLLATE "C",
    refused bigint NOT NULL,
    from_time timestamptz NOT NULL,
    to_time timestamptz NOT NULL,
    last_refused_at timestamptz NOT NULL DEFAULT current_timestamp,
    CONSTRAINT past_retention_once UNIQUE NULLS NOT DISTINCT (relation, source, symbol, exchange),
    CONSTRAINT past_retention_refused_some CHECK (refused > 0)
);

CREATE TABLE IF NOT EXISTS entasis_internal.relation_sizes (
    relation text NOT NULL,
    measured_on date NOT NULL,
    bytes bigint NOT NULL,
    CONSTRAINT relation_sizes_pkey PRIMARY KEY (relation, measured_on)
);

CREATE TABLE IF NOT EXISTS entasis_internal.made_objects (
    kind text NOT NULL,
    object_name text NOT NULL,
    digest text NOT NULL,
    written text,
    CONSTRAINT made_objects_pkey PRIMARY KEY (kind, object_name)
);

CREATE TABLE IF NOT EXISTS entasis.thresholds (
    check_name text NOT NULL,
    warning numeric,
    critical numeric,
    CONSTRAINT thresholds_pkey PRIMARY KEY (check_name),
    CONSTRAINT thresholds_are_numbers CHECK (warning <> 'NaN' AND critical <> 'NaN')
);

CREATE TABLE IF NOT EXISTS entasis.maintenance_log (
    id bigint GENERATED ALWAYS AS IDENTITY,
    logged_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    action text NOT NULL,
    relation text NOT NULL,
    detail text NOT NULL,
    CONSTRAINT maintenance_log_pkey PRIMARY KEY (id)
);

CREATE TABLE IF NOT EXISTS entasis.runs (
    id bigint GENERATED ALWAYS AS IDENTITY,
    action text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz,
    outcome text,
    detail jsonb NOT NULL DEFAULT '{}',
    backend integer NOT NULL DEFAULT pg_backend_pid(),
    login oid NOT NULL,
    CONSTRAINT runs_pkey PRIMARY KEY (id),
    CONSTRAINT runs_action_known CHECK (
        action IN (
            'migrate', 'maintain', 'archive', 'restore', 'refresh', 'compress',
            'backup', 'backup check', 'dump', 'restore-dump', 'detect'
        )
    ),
    CONSTRAINT runs_outcome_known CHECK (outcome IN ('done', 'failed', 'died')),
    CONSTRAINT runs_end_after_start CHECK (ended_at >= started_at),
    CONSTRAINT runs_detail_is_object CHECK (jsonb_typeof(detail) = 'object')
);
-- what has no end yet is looked for at every beginning
CREATE INDEX IF NOT EXISTS idx_runs_open ON entasis.runs (action)
WHERE outcome IS NULL; -- noqa: CP04
CREATE INDEX IF NOT EXISTS idx_runs_action_started ON entasis.runs (action, started_at DESC);

CREATE TABLE IF NOT EXISTS entasis.quarantine (
    id bigint GENERATED ALWAYS AS IDENTITY,
    relation text NOT NULL,
    source text NOT NULL,
    line bigint NOT NULL,
    code text NOT NULL,
    reason text NOT NULL,
    payload jsonb NOT NULL,
    quarantined_at timestamptz NOT NULL DEFAULT current_timestamp,
    CONSTRAINT quarantine_pkey PRIMARY KEY (id)
);

-- The same row of the same source, refused for the same reason, is stored once, however often its file is
-- loaded. Indexed by its digest, because a payload may be larger than an index entry.
CREATE UNIQUE INDEX IF NOT EXISTS quarantine_once
ON entasis.quarantine (relation, source, line, code, md5(payload::text));

-- how many came in the last day, and why, is asked every minute
CREATE INDEX IF NOT EXISTS idx_quarantine_quarantined_at ON entasis.quarantine (quarantined_at);

CREATE TABLE IF NOT EXISTS entasis.markets (
    symbol varchar(64) COLLATE "C" NOT NULL,
    exchange varchar(64) COLLATE "C" NOT NULL,
    id_space text,
    source text,
    recorded_at timestamptz NOT NULL DEFAULT current_timestamp,
    ids_rise boolean,
    ids_dense boolean,
    time_units text[] NOT NULL DEFAULT '{}',
    kind text,
    base varchar(64) COLLATE "C",
    quote varchar(64) COLLATE "C",
    settlement varchar(64) COLLATE "C",
    contract_size numeric,
    tick_size numeric,
    lot_size numeric,
    expiry timestamptz,
    volume_unit text,
    is_active boolean,
    usual_gap interval,
    set_by_hand text[] NOT NULL DEFAULT '{}',
    CONSTRAINT markets_pkey PRIMARY KEY (symbol, exchange),
    CONSTRAINT markets_symbol_is_name CHECK (
        symbol <> ''
        AND symbol !~ '^\s|\s$|[\u0001-\u001f\u007f-\u00a0\u061c'
        '\u1680\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f-\u2069\u3000\ufeff]'
    ),
    CONSTRAINT markets_exchange_is_name CHECK (
        exchange <> ''
        AND exchange !~ '^\s|\s$|[\u0001-\u001f\u007f-\u00a0\u061c'
        '\u1680\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f-\u2069\u3000\ufeff]'
    ),
    CONSTRAINT markets_id_space_is_name CHECK (
        length(id_space) BETWEEN 1 AND 64
        AND id_space !~ '^\s|\s$|[\u0001-\u001f\u007f-\u00a0\u061c'
        '\u1680\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f-\u2069\u3000\ufeff]'
    ),
    CONSTRAINT markets_source_bounded CHECK (length(source) <= 1024),
    CONSTRAINT markets_time_units_known CHECK (time_units <@ ARRAY['s', 'ms', 'us']),
    CONSTRAINT markets_kind_known CHECK (
        kind IN (
            'spot', 'linear_perpetual', 'linear_future', 'inverse_perpetual', 'inverse_future',
            'option', 'combo', 'spread'
        )
    ),
    CONSTRAINT markets_assets_are_names CHECK (
        base <> '' AND quote <> '' AND settlement <> ''
        AND concat(base, quote, settlement) !~ '[\u0001-\u0020\u007f-\u00a0\u061c'
        '\u1680\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f-\u2069\u3000\ufeff]'
    ),
    CONSTRAINT markets_contract_size_exact CHECK (
        contract_size > 0 AND contract_size < 1e12 AND min_scale(contract_size) <= 18
    ),
    CONSTRAINT markets_tick_size_exact CHECK (
        tick_size > 0 AND tick_size < 1e12 AND min_scale(tick_size) <= 18
    ),
    CONSTRAINT markets_lot_size_exact CHECK (
        lot_size > 0 AND lot_size < 1e12 AND min_scale(lot_size) <= 18
    ),
    CONSTRAINT markets_expiry_finite CHECK (isfinite(expiry)),
    CONSTRAINT markets_volume_unit_known CHECK (volume_unit IN ('base', 'contracts', 'quote')),
    CONSTRAINT markets_usual_gap_bounded CHECK (
        usual_gap > interval '0' AND usual_gap <= interval '10 years'
    ),
    CONSTRAINT markets_set_by_hand_known CHECK (
        set_by_hand <@ ARRAY[
            'kind', 'base', 'quote', 'settlement', 'contract_size', 'tick_size', 'lot_size',
            'expiry', 'volume_unit', 'is_active', 'usual_gap', 'ids_dense'
        ]
    )
);

-- Any login may NOTIFY and LISTEN on any channel whose name it knows, so this one has a name that cannot be guessed.
CREATE TABLE IF NOT EXISTS entasis_internal.cache_channel (
    only_row boolean NOT NULL DEFAULT true,
    name text NOT NULL DEFAULT 'entasis_' || replace(gen_random_uuid()::text, '-', ''),
    CONSTRAINT cache_channel_pkey PRIMARY KEY (only_row),
    CONSTRAINT cache_channel_only_row CHECK (only_row)
);
INSERT INTO entasis_internal.cache_channel DEFAULT VALUES ON CONFLICT DO NOTHING;

-- Unlogged, because no row outlives its session.
CREATE UNLOGGED TABLE IF NOT EXISTS entasis_internal.cache_listeners (
    backend integer NOT NULL,
    login oid NOT NULL,
    since timestamptz NOT NULL,
    CONSTRAINT cache_listeners_pkey PRIMARY KEY (backend)
);
