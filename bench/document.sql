-- The source document's own market_data, as near to its text as PostgreSQL takes it: its columns and
-- types, its partitions by month, its two indexes. A unique key of a partitioned table must contain the
-- partition column, so the document's PRIMARY KEY (id) becomes the key of a trade. No CHECKs, no
-- candles. (The made-up trades lie in these two months and have at most 8 decimals.)
CREATE TABLE public.market_data (
    id bigserial NOT NULL,
    symbol varchar(20) NOT NULL,
    exchange varchar(20) NOT NULL,
    timestamp timestamptz NOT NULL,
    price decimal(20, 8) NOT NULL,
    volume decimal(20, 8) NOT NULL,
    created_at timestamptz DEFAULT current_timestamp,
    PRIMARY KEY (symbol, exchange, timestamp, id)
) PARTITION BY RANGE (timestamp);

CREATE TABLE public.market_data_y2025m01 PARTITION OF public.market_data
FOR VALUES FROM ('2025-01-01Z') TO ('2025-02-01Z');
CREATE TABLE public.market_data_y2025m02 PARTITION OF public.market_data
FOR VALUES FROM ('2025-02-01Z') TO ('2025-03-01Z');

CREATE INDEX idx_market_data_symbol_timestamp ON public.market_data (symbol, timestamp DESC);
CREATE INDEX idx_market_data_exchange_timestamp ON public.market_data (exchange, timestamp DESC);
