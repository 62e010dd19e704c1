-- A stored candle changes when a refresh deletes it and puts it back, or not; at every level, each in
-- its own transaction: who read an hour after its minutes were refreshed, and before it was itself, has
-- read the old one and is told again. Hours, because like messages are told once, and caches keep
-- minutes by the hour.
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
'Trigger of candles: tells caches which market has another candle in which hour; of a day, its first hour, which is in whatever is computed from the day.';
