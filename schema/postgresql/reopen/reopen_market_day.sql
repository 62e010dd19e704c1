CREATE OR REPLACE FUNCTION entasis_internal.reopen_market_day(
    symbol_name text, exchange_name text, from_day timestamptz
) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM FROM entasis.reopened AS r
    WHERE r.relation = 'market_data' AND r.from_time <= from_day AND r.to_time > from_day
        AND (r.symbol IS NULL OR (r.symbol = symbol_name AND r.exchange = exchange_name));
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the day % of % % is not being reopened', from_day, exchange_name, symbol_name
        USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    PERFORM entasis_internal.recompute_candles(array_agg(
        row(symbol_name, exchange_name, k.bucket, 0, 0, 0, 0, 0, 0, 0, k.bucket, 0, k.bucket, 0)::entasis.ohlcv_1m
    ))
    FROM (
        SELECT DISTINCT date_bin('1 minute', d.timestamp, '2000-01-01 00:00:00+00'::timestamptz) AS bucket
        FROM entasis.market_data AS d
        WHERE d.symbol = symbol_name AND d.exchange = exchange_name
            AND d.timestamp >= from_day AND d.timestamp < from_day + interval '24 hours'
        UNION
        SELECT f.bucket
        FROM entasis_internal.candle_faults(
            symbol_name, exchange_name, from_day, from_day + interval '24 hours'
        ) AS f
    ) AS k
    HAVING count(*) > 0;
END
$$;

COMMENT ON FUNCTION entasis_internal.reopen_market_day IS
'Computes the candles of a UTC day of a market below the floor that is being reopened from its stored trades, all of which are known to be there.';
