-- From the end of the key: a candle does not know of late trades before the next refresh. What the key passes on its
-- way, trades of the same symbol on other exchanges, lies in the newest chunks, because the columnstore keeps each market
-- by itself.
-- Trades are read in ranges that begin with this month, each four times as long as the one before, so that a plan holds
-- the chunks of one range, not all.
CREATE OR REPLACE FUNCTION entasis_internal.latest_trade(symbol_name text, exchange_name text)
RETURNS SETOF entasis.market_data
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1
SET search_path = pg_catalog, pg_temp
-- a plan for any range holds all chunks
SET plan_cache_mode = 'force_custom_plan'
AS $$
DECLARE
    month timestamp := date_trunc('month', now() AT TIME ZONE 'UTC');
    reach interval := '3 months';
    from_time timestamptz;
    -- trades may be ahead of the clock
    to_time timestamptz := 'infinity';
BEGIN
    -- no market_data is older
    WHILE to_time > '2009-01-01 00:00:00+00' LOOP
        from_time := month AT TIME ZONE 'UTC';
        RETURN QUERY
        SELECT
            d.id,
            d.symbol,
            d.exchange,
            d.timestamp,
            d.price,
            d.volume,
            d.created_at,
            d.side,
            d.source_id,
            d.excluded
        FROM entasis.market_data AS d
        WHERE
            d.symbol = latest_trade.symbol_name
            AND d.exchange = latest_trade.exchange_name
            AND d.timestamp >= from_time
            AND d.timestamp < to_time
            AND d.excluded IS NULL
        ORDER BY d.timestamp DESC, d.id DESC
        LIMIT 1;
        IF FOUND THEN
            RETURN;
        END IF;
        to_time := from_time;
        month := month - reach;
        reach := 4 * reach;
    END LOOP;
END
$$;

COMMENT ON FUNCTION entasis_internal.latest_trade IS
'The newest trade of a market that candles count, by (timestamp, id). No row: none is stored.';
