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
