-- The upserts differ only in their table. They are not built with EXECUTE, because each batch would then plan
-- them again.
CREATE OR REPLACE FUNCTION entasis_internal.merge_candles(minutes entasis.ohlcv_1m[])
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    hours entasis.ohlcv_1m[] := entasis_internal.roll_up(minutes, interval '1 hour');
    days entasis.ohlcv_1m[] := entasis_internal.roll_up(hours, interval '1 day');
    merged entasis.ohlcv_1m[];
    added entasis.ohlcv_1m[];
BEGIN
    PERFORM entasis_internal.record_traded_markets(days);

    -- Days first, in key order: a day of a market is the lock of all its candles, and all writers take it first.
    INSERT INTO entasis.ohlcv_1d AS c
    SELECT n.* FROM unnest(days) AS n
    ORDER BY n.symbol, n.exchange, n.bucket
    ON CONFLICT (symbol, exchange, bucket) DO UPDATE SET
        open = CASE
            WHEN (excluded.opened_at, excluded.first_trade_id) < (c.opened_at, c.first_trade_id)
                THEN excluded.open ELSE c.open END,
        first_trade_id = CASE
            WHEN (excluded.opened_at, excluded.first_trade_id) < (c.opened_at, c.first_trade_id)
                THEN excluded.first_trade_id ELSE c.first_trade_id END,
        opened_at = least(excluded.opened_at, c.opened_at),
        high = greatest(excluded.high, c.high),
        low = least(excluded.low, c.low),
        close = CASE
            WHEN (excluded.closed_at, excluded.last_trade_id) > (c.closed_at, c.last_trade_id)
                THEN excluded.close ELSE c.close END,
        last_trade_id = CASE
            WHEN (excluded.closed_at, excluded.last_trade_id) > (c.closed_at, c.last_trade_id)
                THEN excluded.last_trade_id ELSE c.last_trade_id END,
        closed_at = greatest(excluded.closed_at, c.closed_at),
        volume = c.volume + excluded.volume,
        quote_volume = c.quote_volume + excluded.quote_volume,
        trades = c.trades + excluded.trades;

    INSERT INTO entasis.ohlcv_1h AS c
    SELECT n.* FROM unnest(hours) AS n
    ORDER BY n.symbol, n.exchange, n.bucket
    ON CONFLICT (symbol, exchange, bucket) DO UPDATE SET
        open = CASE
            WHEN (excluded.opened_at, excluded.first_trade_id) < (c.opened_at, c.first_trade_id)
                THEN excluded.open ELSE c.open END,
        first_trade_id = CASE
            WHEN (excluded.opened_at, excluded.first_trade_id) < (c.opened_at, c.first_trade_id)
                THEN excluded.first_trade_id ELSE c.first_trade_id END,
        opened_at = least(excluded.opened_at, c.opened_at),
        high = greatest(excluded.high, c.high),
        low = least(excluded.low, c.low),
        close = CASE
            WHEN (excluded.closed_at, excluded.last_trade_id) > (c.closed_at, c.last_trade_id)
                THEN excluded.close ELSE c.close END,
        last_trade_id = CASE
            WHEN (excluded.closed_at, excluded.last_trade_id) > (c.closed_at, c.last_trade_id)
                THEN excluded.last_trade_id ELSE c.last_trade_id END,
        closed_at = greatest(excluded.closed_at, c.closed_at),
        volume = c.volume + excluded.volume,
        quote_volume = c.quote_volume + excluded.quote_volume,
        trades = c.trades + excluded.trades;

    -- No other session can add a minute to these days now. Those after the newest that is stored need no look for a
    -- conflict, which costs a third of an upsert.
    SELECT
        array_agg(n) FILTER (WHERE n.bucket <= e.newest),
        array_agg(n) FILTER (WHERE n.bucket > e.newest OR e.newest IS NULL)
    INTO merged, added
    FROM unnest(minutes) AS n
    INNER JOIN (
        SELECT
            g.*,
            (
                SELECT c.bucket FROM entasis.ohlcv_1m AS c
                WHERE
                    c.symbol = g.symbol AND c.exchange = g.exchange
                    AND c.bucket >= g.first_bucket AND c.bucket <= g.last_bucket
                ORDER BY c.bucket DESC
                LIMIT 1
            ) AS newest
        FROM (
            SELECT
                m.symbol,
                m.exchange,
                min(m.bucket) AS first_bucket,
                max(m.bucket) AS last_bucket
            FROM unnest(minutes) AS m
            GROUP BY m.symbol, m.exchange
        ) AS g
        -- or else the newest is looked for again with every minute
        OFFSET 0
    ) AS e ON n.symbol = e.symbol AND n.exchange = e.exchange;

    IF merged IS NOT NULL THEN
        INSERT INTO entasis.ohlcv_1m AS c
        SELECT n.* FROM unnest(merged) AS n
        ORDER BY n.symbol, n.exchange, n.bucket
        ON CONFLICT (symbol, exchange, bucket) DO UPDATE SET
            open = CASE
                WHEN (excluded.opened_at, excluded.first_trade_id) < (c.opened_at, c.first_trade_id)
                    THEN excluded.open ELSE c.open END,
            first_trade_id = CASE
                WHEN (excluded.opened_at, excluded.first_trade_id) < (c.opened_at, c.first_trade_id)
                    THEN excluded.first_trade_id ELSE c.first_trade_id END,
            opened_at = least(excluded.opened_at, c.opened_at),
            high = greatest(excluded.high, c.high),
            low = least(excluded.low, c.low),
            close = CASE
                WHEN (excluded.closed_at, excluded.last_trade_id) > (c.closed_at, c.last_trade_id)
                    THEN excluded.close ELSE c.close END,
            last_trade_id = CASE
                WHEN (excluded.closed_at, excluded.last_trade_id) > (c.closed_at, c.last_trade_id)
                    THEN excluded.last_trade_id ELSE c.last_trade_id END,
            closed_at = greatest(excluded.closed_at, c.closed_at),
            volume = c.volume + excluded.volume,
            quote_volume = c.quote_volume + excluded.quote_volume,
            trades = c.trades + excluded.trades;
    END IF;
    IF added IS NOT NULL THEN
        INSERT INTO entasis.ohlcv_1m
        SELECT n.* FROM unnest(added) AS n
        ORDER BY n.symbol, n.exchange, n.bucket;
    END IF;

    PERFORM entasis_internal.notify_candle_changes(minutes);
END
$$;

COMMENT ON FUNCTION entasis_internal.merge_candles IS
'Merges the minutes of a batch of new trades into the stored minutes, hours and days. For trades that no candle counts yet.';
