CREATE OR REPLACE FUNCTION entasis.candle_step(candle_interval entasis.candle_interval)
RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE candle_interval
    WHEN '1m' THEN interval '1 minute'
    WHEN '5m' THEN interval '5 minutes'
    WHEN '15m' THEN interval '15 minutes'
    WHEN '30m' THEN interval '30 minutes'
    WHEN '1h' THEN interval '1 hour'
    WHEN '4h' THEN interval '4 hours'
    WHEN '1d' THEN interval '1 day'
    WHEN '1w' THEN interval '7 days'
    WHEN '1mo' THEN interval '1 month'
END;

COMMENT ON FUNCTION entasis.candle_step IS
'Length of a bucket. Add it to timestamps in UTC only: a day may have 23 or 25 hours in another time zone.';
