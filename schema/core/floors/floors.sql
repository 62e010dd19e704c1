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
