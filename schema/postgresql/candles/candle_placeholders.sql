-- A bucket without a candle has no row that could be locked: a placeholder is that row.
CREATE OR REPLACE FUNCTION entasis_internal.candle_placeholders(
    buckets entasis.ohlcv_1m[], step interval
) RETURNS entasis.ohlcv_1m[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
RETURN (
    SELECT
        array_agg(
            row(
                k.symbol, k.exchange, k.bucket,
                0, 0, 0, 0, 0, 0, 0,
                '-infinity'::timestamptz, 0, '-infinity'::timestamptz, 0
            )::entasis.ohlcv_1m
            ORDER BY k.symbol, k.exchange, k.bucket
        )
    FROM (
        SELECT DISTINCT
            b.symbol,
            b.exchange,
            date_bin(
                candle_placeholders.step, b.bucket, '2000-01-01 00:00:00+00'::timestamptz
            ) AS bucket
        FROM unnest(buckets) AS b
    ) AS k
);

COMMENT ON FUNCTION entasis_internal.candle_placeholders IS
'One empty row (trades = 0) for each bucket of length step that contains any of the given candles, in key order. NULL if none are given.';
