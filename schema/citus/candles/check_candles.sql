-- Every node checks the symbols that it has. By the caller's rights: Citus refuses two roles in one transaction that has written.
CREATE OR REPLACE FUNCTION entasis.check_candles(
    from_time timestamptz DEFAULT '-infinity', to_time timestamptz DEFAULT 'infinity'
) RETURNS TABLE (
    relation text,
    symbol varchar,
    exchange varchar,
    bucket timestamptz,
    problem text,
    missing_trades bigint,
    stored jsonb,
    expected jsonb
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
#variable_conflict use_column
DECLARE
    stray record;
    from_day timestamptz := greatest(
        entasis_internal.first_whole_day(),
        CASE
            WHEN isfinite(check_candles.from_time) THEN date_trunc('day', check_candles.from_time)
            ELSE check_candles.from_time
        END
    );
    to_day timestamptz := CASE
        WHEN isfinite(check_candles.to_time)
            THEN date_trunc('day', check_candles.to_time + interval '1 day' - interval '1 microsecond')
        ELSE check_candles.to_time
    END;
BEGIN
    PERFORM entasis_internal.check_range_bounds(check_candles.from_time, check_candles.to_time);
    RETURN QUERY
    SELECT f.relation, f.symbol, f.exchange, f.bucket, f.problem, f.missing_trades, f.stored, f.expected
    FROM (SELECT DISTINCT m.symbol FROM entasis.markets AS m) AS s
    CROSS JOIN LATERAL entasis_internal.candle_faults_of_symbol(s.symbol, from_day, to_day) AS f
    ORDER BY f.relation, f.symbol, f.exchange, f.bucket;
    -- of what went past the triggers, no market need be on record
    FOR stray IN
        SELECT k.symbol
        FROM (
            SELECT c.symbol FROM entasis.ohlcv_1m AS c WHERE c.bucket >= from_day AND c.bucket < to_day
            UNION
            SELECT c.symbol FROM entasis.ohlcv_1h AS c WHERE c.bucket >= from_day AND c.bucket < to_day
            UNION
            SELECT c.symbol FROM entasis.ohlcv_1d AS c WHERE c.bucket >= from_day AND c.bucket < to_day
            UNION
            SELECT d.symbol FROM entasis.market_data AS d
            WHERE d.timestamp >= from_day AND d.timestamp < to_day
        ) AS k
        ORDER BY k.symbol
    LOOP
        CONTINUE WHEN EXISTS (SELECT FROM entasis.markets AS m WHERE m.symbol = stray.symbol);
        RETURN QUERY
        SELECT f.relation, f.symbol, f.exchange, f.bucket, f.problem, f.missing_trades, f.stored, f.expected
        FROM (
            SELECT c.symbol FROM entasis.ohlcv_1m AS c WHERE c.symbol = stray.symbol
            UNION
            SELECT c.symbol FROM entasis.ohlcv_1h AS c WHERE c.symbol = stray.symbol
            UNION
            SELECT c.symbol FROM entasis.ohlcv_1d AS c WHERE c.symbol = stray.symbol
            UNION
            SELECT d.symbol FROM entasis.market_data AS d WHERE d.symbol = stray.symbol
        ) AS s
        CROSS JOIN LATERAL entasis_internal.candle_faults_of_symbol(s.symbol, from_day, to_day) AS f
        ORDER BY f.relation, f.symbol, f.exchange, f.bucket;
    END LOOP;
    IF NOT EXISTS (SELECT FROM entasis.reopened AS o WHERE o.relation = 'market_data') THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT r.relation, r.symbol::varchar, r.exchange::varchar, r.bucket, r.problem, r.missing_trades::bigint, r.stored, r.expected
    FROM entasis_internal.check_reopened_candles(check_candles.from_time, check_candles.to_time) AS r
    ORDER BY r.relation, r.symbol, r.exchange, r.bucket;
END
$$;

COMMENT ON FUNCTION entasis.check_candles IS
'Stored candles of the UTC days that overlap [from_time, to_time) that do not equal what is computed from their trades, minutes or hours. problem is ''missing trades'' where the candle counts missing_trades more than market_data holds: it is the last that is known of them. Otherwise missing_trades is 0 and the candle is wrong: missing, surplus or different. No rows: all are right. Days that start below the floor of market_data are checked where they are reopened only, because trades of the others have been dropped. On engine timescaledb, call refresh_candles() first: until then, candles still count what was just deleted.';
