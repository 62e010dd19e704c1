-- On the node that has the symbol: see shard_functions.sql. Its partitions are made before, on the coordinator.
-- What is counted before and after is compared once more: trades may have gone past the triggers since the
-- whole range was checked. The candles are locked first, so that no writer changes them in between.
CREATE OR REPLACE FUNCTION entasis_internal.rebuild_day_of_shard(
    symbol_name text, exchange_name text, at_time timestamptz, forced boolean DEFAULT false
) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    from_day timestamptz := date_trunc('day', at_time);
    touched entasis.ohlcv_1m[];
    counted jsonb;
BEGIN
    PERFORM entasis_internal.refuse_below_floor(
        'market_data', from_day, symbol_name, exchange_name
    );
    touched := entasis_internal.minutes_of_day(symbol_name, exchange_name, from_day);
    IF touched IS NULL THEN
        RETURN 0;
    END IF;
    PERFORM entasis_internal.lock_candles(
        entasis_internal.candle_placeholders(touched, interval '1 minute'),
        entasis_internal.candle_placeholders(touched, interval '1 hour'),
        entasis_internal.candle_placeholders(touched, interval '1 day')
    );
    SELECT jsonb_object_agg(c.candle, c.trades) INTO counted
    FROM entasis_internal.trade_counts(symbol_name, exchange_name, from_day) AS c;
    PERFORM entasis_internal.recompute_candles(touched);
    PERFORM FROM jsonb_each_text(counted) AS b (candle, trades)
    LEFT OUTER JOIN entasis_internal.trade_counts(symbol_name, exchange_name, from_day) AS c
        ON b.candle = c.candle
    WHERE coalesce(c.trades, 0) < b.trades::bigint;
    IF FOUND AND forced IS NOT TRUE THEN
        RAISE EXCEPTION 'trades are missing: candles of % on % count more than market_data holds on %',
            symbol_name, exchange_name, to_char(from_day, 'YYYY-MM-DD')
        USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Bring the trades back; or force it (forced => true, entasis rebuild --force), and the candles count only what is left.';
    END IF;
    RETURN cardinality(touched);
END
$$;

COMMENT ON FUNCTION entasis_internal.rebuild_day_of_shard IS
'Recomputes all candles of one market for the UTC day that contains at_time, and returns the number of minutes that it recomputed. Refuses a day that starts below the floor, and, unless forced, one on which a candle counts more trades than market_data holds.';
