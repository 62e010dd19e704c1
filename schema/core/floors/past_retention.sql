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
