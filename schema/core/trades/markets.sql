CREATE TABLE IF NOT EXISTS entasis.markets (
    symbol varchar(20) COLLATE "C" NOT NULL,
    exchange varchar(20) COLLATE "C" NOT NULL,
    id_space text NOT NULL,
    source text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT current_timestamp,
    CONSTRAINT markets_pkey PRIMARY KEY (symbol, exchange),
    CONSTRAINT markets_id_space_not_empty CHECK (id_space <> '')
);
