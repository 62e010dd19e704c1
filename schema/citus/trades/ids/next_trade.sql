-- In steps, each a statement of one symbol, so that triggers on shards may ask it, too.
CREATE OR REPLACE FUNCTION entasis_internal.next_trade(
    symbol_name text, exchange_name text, from_time timestamptz, from_id bigint
) RETURNS TABLE (traded_at timestamptz, id bigint)
LANGUAGE plpgsql STABLE ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    this_minute CONSTANT timestamptz := date_bin('1 minute', next_trade.from_time, '2000-01-01 00:00:00+00');
    kept_from CONSTANT timestamptz := entasis_internal.trades_kept_from();
    counted timestamptz;
    uncounted timestamptz;
    near_at timestamptz;
    near_id bigint;
    below_at timestamptz;
    below_id bigint;
BEGIN
    SELECT d.timestamp, d.id INTO near_at, near_id
    FROM entasis.market_data AS d
    WHERE d.symbol = symbol_name AND d.exchange = exchange_name
        AND d.timestamp >= next_trade.from_time
            AND d.timestamp < this_minute + interval '1 minute'
        AND (d.timestamp, d.id) > (next_trade.from_time, from_id)
    ORDER BY d.timestamp ASC, d.id ASC
    LIMIT 1;
    IF NOT FOUND THEN
        SELECT c.bucket INTO counted
        FROM entasis.ohlcv_1m AS c
        WHERE c.symbol = symbol_name AND c.exchange = exchange_name AND c.bucket > this_minute
        ORDER BY c.bucket ASC
        LIMIT 1;
        SELECT date_bin('1 minute', d.timestamp, '2000-01-01 00:00:00+00') INTO uncounted
        FROM entasis.market_data AS d
        WHERE d.symbol = symbol_name AND d.exchange = exchange_name AND d.excluded IS NOT NULL
            AND d.timestamp >= this_minute + interval '1 minute'
        ORDER BY d.timestamp ASC
        LIMIT 1;
        counted := least(counted, uncounted);
        SELECT d.timestamp, d.id INTO near_at, near_id
        FROM entasis.market_data AS d
        WHERE d.symbol = symbol_name AND d.exchange = exchange_name
            AND d.timestamp >= counted AND d.timestamp < counted + interval '1 minute'
        ORDER BY d.timestamp ASC, d.id ASC
        LIMIT 1;
    END IF;
    -- below the floor, candles do not know all trades
    IF kept_from > '-infinity' THEN
        SELECT d.timestamp, d.id INTO below_at, below_id
        FROM entasis.market_data AS d
        WHERE d.symbol = symbol_name AND d.exchange = exchange_name
            AND d.timestamp >= next_trade.from_time
            AND d.timestamp < kept_from + interval '1 minute'
            AND (d.timestamp, d.id) > (next_trade.from_time, from_id)
        ORDER BY d.timestamp ASC, d.id ASC
        LIMIT 1;
    END IF;
    RETURN QUERY
    SELECT v.at, v.id FROM unnest(ARRAY[near_at, below_at], ARRAY[near_id, below_id]) AS v (at, id)
    WHERE v.at IS NOT NULL
    ORDER BY v.at ASC, v.id ASC
    LIMIT 1;
END
$$;

COMMENT ON FUNCTION entasis_internal.next_trade IS
'The trade of a market with the smallest (timestamp, id) above (from_time, from_id), whether candles count it or not. No row: there is none.';
