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
