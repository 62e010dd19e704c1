CREATE OR REPLACE FUNCTION entasis_internal.lock_candles(
    minutes entasis.ohlcv_1m[], hours entasis.ohlcv_1m[], days entasis.ohlcv_1m[]
) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- DO UPDATE ... WHERE false locks an existing row without changing it. Above READ COMMITTED all
    -- statements use one snapshot, and a candle that was changed or deleted after it fails here or in the
    -- UPDATE below with 40001.
    INSERT INTO entasis.ohlcv_1d AS c
    SELECT t.* FROM unnest(days) AS t ORDER BY t.symbol, t.exchange, t.bucket
    ON CONFLICT (symbol, exchange, bucket) DO UPDATE SET trades = c.trades WHERE false;
    INSERT INTO entasis.ohlcv_1h AS c
    SELECT t.* FROM unnest(hours) AS t ORDER BY t.symbol, t.exchange, t.bucket
    ON CONFLICT (symbol, exchange, bucket) DO UPDATE SET trades = c.trades WHERE false;
    INSERT INTO entasis.ohlcv_1m AS c
    SELECT t.* FROM unnest(minutes) AS t ORDER BY t.symbol, t.exchange, t.bucket
    ON CONFLICT (symbol, exchange, bucket) DO UPDATE SET trades = c.trades WHERE false;
END
$$;

COMMENT ON FUNCTION entasis_internal.lock_candles IS
'Locks the buckets of the given placeholders until the transaction ends, days first, as merge_candles() does. A bucket without a candle gets its placeholder (trades = 0), which the caller fills or deletes.';
