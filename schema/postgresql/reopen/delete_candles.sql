CREATE OR REPLACE FUNCTION entasis_internal.delete_candles(
    symbol_name text, exchange_name text, from_time timestamptz, to_time timestamptz
) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
BEGIN
    -- days first, as writers lock them
    DELETE FROM entasis.ohlcv_1d AS c
    WHERE
        c.symbol = symbol_name AND c.exchange = exchange_name
        AND c.bucket >= delete_candles.from_time AND c.bucket < delete_candles.to_time;
    DELETE FROM entasis.ohlcv_1h AS c
    WHERE
        c.symbol = symbol_name AND c.exchange = exchange_name
        AND c.bucket >= delete_candles.from_time AND c.bucket < delete_candles.to_time;
    DELETE FROM entasis.ohlcv_1m AS c
    WHERE
        c.symbol = symbol_name AND c.exchange = exchange_name
        AND c.bucket >= delete_candles.from_time AND c.bucket < delete_candles.to_time;
END
$$;

COMMENT ON FUNCTION entasis_internal.delete_candles IS
'Throws away the candles of a market that start in [from_time, to_time).';
