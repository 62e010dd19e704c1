CREATE OR REPLACE FUNCTION entasis_internal.lock_candles(
    minutes entasis.ohlcv_1m[], hours entasis.ohlcv_1m[], days entasis.ohlcv_1m[]
) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- DO UPDATE ... WHERE false locks an existing row without changing it. Above READ COMMITTED all
    -- statements use one snapshot, and a candle that was changed or deleted after it fails here or in the
    -- UPDATE afterwards with 40001.
    lock_level CONSTANT text := $sql$
        INSERT INTO %s AS c
        SELECT t.* FROM unnest($1) AS t ORDER BY t.symbol, t.exchange, t.bucket
        ON CONFLICT (symbol, exchange, bucket) DO UPDATE SET trades = c.trades WHERE false
    $sql$;
    symbol_name CONSTANT text := minutes[1].symbol;
BEGIN
    EXECUTE format(lock_level, entasis_internal.shard_of('entasis.ohlcv_1d', symbol_name)) USING days;
    EXECUTE format(lock_level, entasis_internal.shard_of('entasis.ohlcv_1h', symbol_name)) USING hours;
    EXECUTE format(lock_level, entasis_internal.shard_of('entasis.ohlcv_1m', symbol_name)) USING minutes;
END
$$;

COMMENT ON FUNCTION entasis_internal.lock_candles IS
'Locks the buckets of the given placeholders, all of one shard, until the transaction ends, days first, as merge_candles() does. A bucket without a candle gets its placeholder (trades = 0), which the caller fills or deletes.';
