CREATE OR REPLACE FUNCTION entasis_internal.candle_watermarks()
RETURNS TABLE (relation text, seconds double precision)
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT
        c.relation,
        double precision 'infinity' AS seconds
    FROM (VALUES ('ohlcv_1m'), ('ohlcv_1h'), ('ohlcv_1d')) AS c (relation);
END;

COMMENT ON FUNCTION entasis_internal.candle_watermarks IS
'For each stored level: candles that are over by then, in seconds since 1970, never change without caches being told. Here, all.';
