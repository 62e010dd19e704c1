-- the minutes' columns, so that candles of every level are rows of one shape
CREATE TABLE IF NOT EXISTS entasis.ohlcv_1d (
    LIKE entasis.ohlcv_1m,
    CONSTRAINT ohlcv_1d_pkey PRIMARY KEY (symbol, exchange, bucket)
) PARTITION BY RANGE (bucket);
