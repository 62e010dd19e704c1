-- All arithmetic is on UTC's own clock (timestamp, not timestamptz): a session in a zone with
-- summer time would add a day or a month of its own. 2000-01-03 was a Monday.
CREATE OR REPLACE FUNCTION entasis.candle_bucket(
    candle_interval entasis.candle_interval, at_time timestamptz
) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN candle_interval = '1mo'
        THEN date_trunc('month', at_time AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'
    ELSE date_bin(
        entasis.candle_step(candle_interval), at_time, '2000-01-03 00:00:00+00'::timestamptz
    )
END;

COMMENT ON FUNCTION entasis.candle_bucket IS
'The beginning of the bucket [bucket, bucket + interval) that holds a finite time. Buckets are UTC; weeks begin on Monday.';
