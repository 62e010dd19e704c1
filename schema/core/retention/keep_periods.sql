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
