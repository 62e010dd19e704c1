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
'For each stored interval, the time, in seconds since 1970, up to which caches are notified of every change of a candle. On this engine, of all.';
