-- All arithmetic is on timestamps in UTC, not on timestamptz: adding a day or a month to the latter depends
-- on the session's time zone. 2000-01-03 was a Monday.
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
'Start of the bucket [bucket, bucket + interval) that contains a finite time. Buckets are UTC; weeks begin on Monday.';
