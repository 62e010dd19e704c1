CREATE OR REPLACE FUNCTION entasis_internal.forget_lost_ranges(
    from_time timestamptz, to_time timestamptz
) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
BEGIN ATOMIC
    UPDATE entasis_internal.lost_ranges SET
        ranges = ranges - tstzmultirange(tstzrange(
            CASE
                WHEN isfinite(forget_lost_ranges.from_time)
                    THEN date_trunc('day', forget_lost_ranges.from_time)
                ELSE forget_lost_ranges.from_time
            END,
            CASE
                WHEN isfinite(forget_lost_ranges.to_time)
                    THEN
                        date_trunc('day', forget_lost_ranges.to_time - interval '1 microsecond')
                        + interval '1 day'
                ELSE forget_lost_ranges.to_time
            END
        ))
    WHERE NOT isempty(ranges);
END;

COMMENT ON FUNCTION entasis_internal.forget_lost_ranges IS
'Lets candles of the UTC days that overlap [from_time, to_time) be computed from what there is, although chunks of that time were dropped by hand.';
