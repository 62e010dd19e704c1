-- The key begins with symbol and timestamp: looking backwards for a market that has been silent for weeks would pass
-- all trades of its symbol on other exchanges. The newest candle says when the last trade was. At or above the floor each
-- counted trade is in one, so that without a candle only trades below it are left. If the candle's trade is missing,
-- older ones are looked for.
-- Candles are read in ranges that begin with this month, each four times as long as the one before. Their bounds are
-- parameters, so that a plan holds the partitions of one range, not all. PL/pgSQL keeps plans, and after five calls it
-- has one for any range, whose other partitions are left out when it is run.
CREATE OR REPLACE FUNCTION entasis_internal.latest_trade(symbol_name text, exchange_name text)
RETURNS SETOF entasis.market_data
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    kept_from CONSTANT timestamptz := entasis_internal.trades_kept_from();
    -- no market_data is older
    oldest CONSTANT timestamptz := greatest(kept_from, '2009-01-01 00:00:00+00');
    month timestamp := date_trunc('month', now() AT TIME ZONE 'UTC');
    reach interval := '3 months';
    from_time timestamptz;
    -- trades may be ahead of the clock
    to_time timestamptz := 'infinity';
    last_time timestamptz;
BEGIN
    WHILE to_time > oldest LOOP
        from_time := greatest(month AT TIME ZONE 'UTC', kept_from);
        SELECT c.closed_at INTO last_time
        FROM entasis.ohlcv_1m AS c
        WHERE
            c.symbol = latest_trade.symbol_name
            AND c.exchange = latest_trade.exchange_name
            AND c.bucket >= from_time
            AND c.bucket < to_time
        ORDER BY c.bucket DESC
        LIMIT 1;
        EXIT WHEN FOUND;
        to_time := from_time;
        month := month - reach;
        reach := 4 * reach;
    END LOOP;

    RETURN QUERY
    SELECT d.*
    FROM entasis.market_data AS d
    WHERE
        d.symbol = latest_trade.symbol_name
        AND d.exchange = latest_trade.exchange_name
        AND d.timestamp = last_time
        AND d.excluded IS NULL
    ORDER BY d.id DESC
    LIMIT 1;
    IF NOT FOUND THEN
        -- the floor may lie inside a minute
        last_time := coalesce(last_time, kept_from + interval '1 minute');
        RETURN QUERY
        SELECT d.*
        FROM entasis.market_data AS d
        WHERE
            d.symbol = latest_trade.symbol_name
            AND d.exchange = latest_trade.exchange_name
            AND d.timestamp < last_time
            AND d.excluded IS NULL
        ORDER BY d.timestamp DESC, d.id DESC
        LIMIT 1;
    END IF;
END
$$;

COMMENT ON FUNCTION entasis_internal.latest_trade IS
'The newest trade of a market that candles count, by (timestamp, id). No row: none is stored.';
