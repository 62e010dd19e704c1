CREATE OR REPLACE FUNCTION entasis.iv_history(
    underlying_name text,
    from_time timestamptz,
    to_time timestamptz DEFAULT now(),
    tenor interval DEFAULT interval '30 days',
    max_age interval DEFAULT interval '1 day'
) RETURNS TABLE (day timestamptz, iv numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 365
BEGIN ATOMIC
    SELECT
        d.day,
        entasis_internal.iv_at_tenor(
            iv_history.underlying_name,
            least(d.day + interval '24 hours' - interval '1 microsecond', now()),
            iv_history.tenor,
            iv_history.max_age
        ) AS iv
    FROM (
        SELECT s.day AT TIME ZONE 'UTC' AS day
        FROM
            generate_series(
                date_trunc('day', iv_history.from_time AT TIME ZONE 'UTC'),
                least(iv_history.to_time, now()) AT TIME ZONE 'UTC',
                interval '1 day'
            ) AS s (day)
    ) AS d
    WHERE d.day >= iv_history.from_time AND d.day < least(iv_history.to_time, now());
END;

COMMENT ON FUNCTION entasis.iv_history IS
'Implied volatility at the money of one length of time ahead, day by day: a row for each day of UTC that begins in [from_time, to_time) and has begun; both must be finite. iv, a fraction per year, is as known at the last microsecond of the day, or now: atm_iv of iv_term_structure(), its total variance (atm_iv ^ 2 * years) linear in time between the two expiries that bracket the tenor. NULL where none do, or none has an atm_iv: nothing is extrapolated. Quotients and roots are rounded half away from zero to at least 16 significant digits. Each day costs what one iv_term_structure() does. Ordered only if the query says so.';
