-- No trade is older than 2009 or later than a day from now, so that infinite times are finite here.
CREATE OR REPLACE FUNCTION entasis_internal.width_ranges(
    width interval, from_time timestamptz, to_time timestamptz, origin timestamp, zone text
) RETURNS TABLE (from_time timestamptz, to_time timestamptz, step interval)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 100
BEGIN ATOMIC
    -- widths of minutes: all buckets in one range
    SELECT
        f.from_time,
        f.to_time,
        f.step
    FROM (
        SELECT
            w.step,
            (
                date_bin(
                    w.step,
                    greatest(
                        width_ranges.from_time AT TIME ZONE 'UTC', '2009-01-01'::timestamp - w.step
                    ) - interval '1 microsecond',
                    w.origin
                ) + w.step
            ) AT TIME ZONE 'UTC' AS from_time,
            (
                date_bin(
                    w.step,
                    least(
                        width_ranges.to_time AT TIME ZONE 'UTC',
                        now() AT TIME ZONE 'UTC' + interval '1 day'
                    ) - interval '1 microsecond',
                    w.origin
                ) + w.step
            ) AT TIME ZONE 'UTC' AS to_time
        FROM (
            SELECT
                entasis_internal.checked_width(
                    width_ranges.width, width_ranges.origin, false
                ) AS step,
                entasis_internal.local_start(
                    width_ranges.origin, width_ranges.zone
                ) AT TIME ZONE 'UTC' AS origin
        ) AS w
        WHERE w.step IS NOT null
    ) AS f
    UNION ALL
    -- of days and months: one range for each bucket, which is as long as its days are
    SELECT
        b.from_time,
        b.to_time,
        null AS step
    FROM (
        SELECT
            entasis_internal.local_start(s.local_time, width_ranges.zone) AS from_time,
            entasis_internal.local_start(s.local_time + w.step, width_ranges.zone) AS to_time
        FROM (
            SELECT
                entasis_internal.checked_width(
                    width_ranges.width, width_ranges.origin, true
                ) AS step
        ) AS w
        CROSS JOIN
            LATERAL (
                SELECT
                    greatest(
                        width_ranges.from_time AT TIME ZONE width_ranges.zone,
                        '2009-01-01'::timestamp - w.step
                    ) AS from_local,
                    least(
                        width_ranges.to_time AT TIME ZONE width_ranges.zone,
                        now() AT TIME ZONE 'UTC' + interval '1 day'
                    ) AS to_local
            ) AS l
        -- from the bucket before the first
        CROSS JOIN
            LATERAL generate_series(
                CASE
                    WHEN extract(DAY FROM w.step) > 0
                        THEN date_bin(w.step, l.from_local, width_ranges.origin) - w.step
                    ELSE width_ranges.origin + w.step * (
                        floor(
                            (
                                extract(YEAR FROM l.from_local) * 12
                                + extract(MONTH FROM l.from_local)
                                - extract(YEAR FROM width_ranges.origin) * 12
                                - extract(MONTH FROM width_ranges.origin)
                            )
                            / (extract(YEAR FROM w.step) * 12 + extract(MONTH FROM w.step))
                        )
                        - 1
                    )::double precision
                END,
                l.to_local + interval '1 day',
                w.step
            ) AS s (local_time)
        WHERE w.step IS NOT null
    ) AS b
    WHERE b.from_time >= width_ranges.from_time AND b.from_time < width_ranges.to_time;
END;

COMMENT ON FUNCTION entasis_internal.width_ranges IS
'Ranges of time that hold the buckets of a width that begin in [from_time, to_time): one range with a step for widths of minutes, one for each bucket, without a step, for widths of days and months. Raises what checked_width() does.';
