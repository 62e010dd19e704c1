-- The three statements differ only in their table. They are not built with EXECUTE, because each batch would
-- then plan them again.
CREATE OR REPLACE FUNCTION entasis_internal.merge_candles(minutes entasis.ohlcv_1m[])
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    hours entasis.ohlcv_1m[] := entasis_internal.roll_up(minutes, interval '1 hour');
    days entasis.ohlcv_1m[] := entasis_internal.roll_up(hours, interval '1 day');
BEGIN
    PERFORM entasis_internal.record_traded_markets(days);

    -- Minutes, then hours, then days, each in key order: all writers lock in this order.
    INSERT INTO entasis.ohlcv_1m AS c
    SELECT n.* FROM unnest(minutes) AS n
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

    PERFORM entasis_internal.notify_candle_changes(minutes);
END
$$;

COMMENT ON FUNCTION entasis_internal.merge_candles IS
'Merges the minutes of a batch of new trades into the stored minutes, hours and days. For trades that no candle counts yet.';
