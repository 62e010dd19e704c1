-- the columns of minutes, so that candles of all intervals have one row type
CREATE TABLE IF NOT EXISTS entasis.ohlcv_1h (
    LIKE entasis.ohlcv_1m,
    CONSTRAINT ohlcv_1h_pkey PRIMARY KEY (symbol, exchange, bucket)
) PARTITION BY RANGE (bucket);
