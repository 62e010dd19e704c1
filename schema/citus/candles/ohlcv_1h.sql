-- the columns of minutes, so that candles of all intervals have one row type
CREATE TABLE IF NOT EXISTS entasis.ohlcv_1h (
    LIKE entasis.ohlcv_1m,
    CONSTRAINT ohlcv_1h_pkey PRIMARY KEY (symbol, exchange, bucket)
) PARTITION BY RANGE (bucket);

-- Once a table is distributed it stays so: there is no IF NOT EXISTS for it.
DO $distribute$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_dist_partition AS p
        WHERE p.logicalrelid = 'entasis.ohlcv_1h'::regclass
    ) THEN
        PERFORM create_distributed_table('entasis.ohlcv_1h', 'symbol', colocate_with => 'entasis.market_data');
    END IF;
END
$distribute$;
