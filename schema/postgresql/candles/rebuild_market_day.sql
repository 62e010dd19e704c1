CREATE OR REPLACE FUNCTION entasis_internal.rebuild_market_day(
    symbol_name text, exchange_name text, at_time timestamptz
) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    from_day timestamptz := date_trunc('day', at_time);
    to_day timestamptz := from_day + interval '1 day';
    touched entasis.ohlcv_1m[];
BEGIN
    PERFORM entasis_internal.refuse_below_floor(
        'market_data', from_day, symbol_name, exchange_name
    );
    -- minutes with trades and buckets with candles: an hour without minutes is recomputed by its first
    SELECT array_agg(
        row(
            symbol_name, exchange_name, k.bucket, 0, 0, 0, 0, 0, 0, 0, k.bucket, 0, k.bucket, 0
        )::entasis.ohlcv_1m
    ) INTO touched
    FROM (
        SELECT date_bin('1 minute', d.timestamp, '2000-01-01 00:00:00+00'::timestamptz) AS bucket
        FROM entasis.market_data AS d
        WHERE
            d.symbol = symbol_name AND d.exchange = exchange_name
            AND d.timestamp >= from_day AND d.timestamp < to_day
        UNION
        SELECT c.bucket FROM entasis.ohlcv_1m AS c
        WHERE
            c.symbol = symbol_name AND c.exchange = exchange_name
            AND c.bucket >= from_day AND c.bucket < to_day
        UNION
        SELECT c.bucket FROM entasis.ohlcv_1h AS c
        WHERE
            c.symbol = symbol_name AND c.exchange = exchange_name
            AND c.bucket >= from_day AND c.bucket < to_day
        UNION
        SELECT c.bucket FROM entasis.ohlcv_1d AS c
        WHERE
            c.symbol = symbol_name AND c.exchange = exchange_name
            AND c.bucket >= from_day AND c.bucket < to_day
    ) AS k;
    IF touched IS NOT NULL THEN
        PERFORM entasis_internal.recompute_candles(touched);
    END IF;
    RETURN coalesce(cardinality(touched), 0);
END
$$;

COMMENT ON FUNCTION entasis_internal.rebuild_market_day IS
'Recomputes all candles of one market for the UTC day that contains at_time, and returns the number of minutes that it recomputed. Refuses a day that starts below the floor.';
