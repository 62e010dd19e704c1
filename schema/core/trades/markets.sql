CREATE TABLE IF NOT EXISTS entasis.markets (
    symbol varchar(20) COLLATE "C" NOT NULL,
    exchange varchar(20) COLLATE "C" NOT NULL,
    id_space text,
    source text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT current_timestamp,
    ids_rise boolean,
    ids_dense boolean,
    time_units text[] NOT NULL DEFAULT '{}',
    CONSTRAINT markets_pkey PRIMARY KEY (symbol, exchange),
    CONSTRAINT markets_id_space_not_empty CHECK (id_space <> ''),
    CONSTRAINT markets_time_units_known CHECK (time_units <@ ARRAY['s', 'ms', 'us'])
);
