-- A stored candle changes when a refresh deletes it and inserts it again, or does not. Each interval is
-- refreshed in its own transaction and notifies: an hour that was read after its minutes were refreshed
-- and before it was itself is the old one. Notified by the hour, because PostgreSQL sends equal
-- notifications once, and caches keep minutes by the hour.
CREATE OR REPLACE FUNCTION entasis_internal.notify_candle_change() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    candle record := CASE tg_op WHEN 'DELETE' THEN old ELSE new END;
    hour bigint := extract(EPOCH FROM candle.bucket)::bigint / 3600 * 3600;
BEGIN
    PERFORM entasis_internal.notify_row_change(jsonb_build_object('trades', jsonb_build_array(
        jsonb_build_array(candle.symbol, candle.exchange, hour, hour + 59 * 60)
    )));
    RETURN candle;
END
$$;

COMMENT ON FUNCTION entasis_internal.notify_candle_change IS
'Trigger of candles: notifies caches of the market and hour of a changed candle. For a day it is the first hour, which every candle computed from the day contains.';
