CREATE OR REPLACE FUNCTION entasis.candle_bucket_from(
    candle_interval entasis.candle_interval, at_time timestamptz
) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    entasis.candle_bucket(
        candle_interval, (at_time AT TIME ZONE 'UTC' - interval '1 microsecond') AT TIME ZONE 'UTC'
    ) AT TIME ZONE 'UTC' + entasis.candle_step(candle_interval)
) AT TIME ZONE 'UTC';

COMMENT ON FUNCTION entasis.candle_bucket_from IS
'The first bucket that starts at or after a finite time.';
