CREATE TABLE IF NOT EXISTS entasis.markets (
    symbol varchar(64) COLLATE "C" NOT NULL,
    exchange varchar(64) COLLATE "C" NOT NULL,
    id_space text,
    source text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT current_timestamp,
    ids_rise boolean,
    ids_dense boolean,
    time_units text[] NOT NULL DEFAULT '{}',
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
    CONSTRAINT markets_id_space_not_empty CHECK (id_space <> ''),
    CONSTRAINT markets_time_units_known CHECK (time_units <@ ARRAY['s', 'ms', 'us'])
);
