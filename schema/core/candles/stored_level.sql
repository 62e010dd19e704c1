CREATE OR REPLACE FUNCTION entasis_internal.stored_level(candle_interval entasis.candle_interval)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN candle_interval IN ('1m', '5m', '15m', '30m') THEN 'ohlcv_1m'
    WHEN candle_interval IN ('1h', '4h') THEN 'ohlcv_1h'
    ELSE 'ohlcv_1d'
END;

COMMENT ON FUNCTION entasis_internal.stored_level IS
'The stored relation that candles of an interval are read from, or computed from when they are read.';
