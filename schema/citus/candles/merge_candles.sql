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
    -- Days first, in key order: a day of a market is the lock of all its candles, and all writers take it first.
    PERFORM entasis_internal.merge_level('entasis.ohlcv_1d', days);
    PERFORM entasis_internal.merge_level('entasis.ohlcv_1h', hours);
    PERFORM entasis_internal.merge_level('entasis.ohlcv_1m', minutes);
END
$$;

COMMENT ON FUNCTION entasis_internal.merge_candles IS
'Merges the minutes of a batch of new trades into the stored minutes, hours and days of their shard. For trades that no candle counts yet, all of one shard.';
