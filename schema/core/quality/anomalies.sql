CREATE TABLE IF NOT EXISTS entasis.anomalies (
    id bigint GENERATED ALWAYS AS IDENTITY,
    kind text NOT NULL,
    relation text NOT NULL,
    symbol text COLLATE "C",
    exchange text COLLATE "C",
    begins_at timestamptz NOT NULL,
    ends_at timestamptz,
    row_key jsonb NOT NULL,
    observed numeric,
    expected numeric,
    detail jsonb NOT NULL DEFAULT '{}',
    found_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    state text NOT NULL DEFAULT 'new',
    decided_at timestamptz,
    decided_by text,
    note text,
    excluded_as text,
    CONSTRAINT anomalies_pkey PRIMARY KEY (id),
    -- however often it is looked for, and by whatever range
    CONSTRAINT anomalies_once UNIQUE NULLS NOT DISTINCT (
        symbol, exchange, relation, kind, begins_at, row_key
    ),
    CONSTRAINT anomalies_kind_known CHECK (
        kind IN (
            'price_spike', 'volume_spike', 'stuck_price',
            'stored_early', 'stored_late', 'misplaced', 'duplicate',
            'crossed_quote', 'impossible_delta', 'negative_gamma', 'zero_iv',
            'below_intrinsic', 'refused', 'candle_differs'
        )
    ),
    CONSTRAINT anomalies_state_known CHECK (
        state IN ('new', 'acknowledged', 'confirmed', 'dismissed', 'gone')
    ),
    CONSTRAINT anomalies_decided_by_somebody CHECK (
        state IN ('new', 'gone') OR num_nulls(decided_at, decided_by) = 0
    ),
    CONSTRAINT anomalies_excluded_when_confirmed CHECK (
        excluded_as IS NULL OR (state = 'confirmed' AND relation = 'market_data')
    ),
    CONSTRAINT anomalies_objects CHECK (
        jsonb_typeof(row_key) = 'object' AND jsonb_typeof(detail) = 'object'
    )
);

-- what nobody has looked at is counted every minute
CREATE INDEX IF NOT EXISTS idx_anomalies_new ON entasis.anomalies (relation, kind)
WHERE state = 'new';

CREATE TABLE IF NOT EXISTS entasis.anomaly_limits (
    name text NOT NULL,
    value numeric NOT NULL,
    CONSTRAINT anomaly_limits_pkey PRIMARY KEY (name),
    CONSTRAINT anomaly_limits_are_numbers CHECK (value >= 0 AND value < 1e20)
);

-- A market's day as its candles were when it was examined.
CREATE TABLE IF NOT EXISTS entasis_internal.examined_days (
    symbol varchar(64) COLLATE "C" NOT NULL,
    exchange varchar(64) COLLATE "C" NOT NULL,
    day timestamptz NOT NULL,
    candle text NOT NULL,
    hourly jsonb NOT NULL,
    CONSTRAINT examined_days_pkey PRIMARY KEY (symbol, exchange, day)
);

CREATE TABLE IF NOT EXISTS entasis_internal.examined_up_to (
    relation text NOT NULL,
    up_to timestamptz NOT NULL,
    CONSTRAINT examined_up_to_pkey PRIMARY KEY (relation)
);
