-- the minutes' columns, so that candles of every level are rows of one shape
CREATE TABLE IF NOT EXISTS entasis.ohlcv_1h (
    LIKE entasis.ohlcv_1m,
    CONSTRAINT ohlcv_1h_pkey PRIMARY KEY (symbol, exchange, bucket)
) PARTITION BY RANGE (bucket);
