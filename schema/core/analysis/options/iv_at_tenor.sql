-- Planned anew at each call, so that a plan holds the partitions of one moment: a plan for any would have all of them, and
-- on TimescaleDB look into each chunk.
CREATE OR REPLACE FUNCTION entasis_internal.iv_at_tenor(
    underlying_name text, at_time timestamptz, tenor interval, max_age interval
) RETURNS numeric
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = 'force_custom_plan'
AS $$
DECLARE
    target CONSTANT numeric := extract(EPOCH FROM tenor) / (365 * 86400);
    years_below numeric;
    years_above numeric;
    variance_below numeric;
    variance_above numeric;
BEGIN
    SELECT
        max(t.years) FILTER (WHERE t.years <= target),
        min(t.years) FILTER (WHERE t.years >= target),
        (array_agg(t.atm_iv * t.atm_iv * t.years ORDER BY t.years DESC)
            FILTER (WHERE t.years <= target))[1],
        (array_agg(t.atm_iv * t.atm_iv * t.years ORDER BY t.years)
            FILTER (WHERE t.years >= target))[1]
    INTO years_below, years_above, variance_below, variance_above
    FROM entasis.iv_term_structure(
        iv_at_tenor.underlying_name, iv_at_tenor.at_time, iv_at_tenor.max_age
    ) AS t
    WHERE t.atm_iv IS NOT NULL;

    IF years_below = years_above THEN
        RETURN sqrt(variance_below / target);
    END IF;
    RETURN sqrt(
        (
            variance_below
            + (variance_above - variance_below) * (target - years_below) / (years_above - years_below)
        ) / target
    );
END
$$;

COMMENT ON FUNCTION entasis_internal.iv_at_tenor IS
'Implied volatility at the money so long before an expiry, as known at one moment: of iv_term_structure(), total variance (atm_iv ^ 2 * years) linear in time between the two expiries that bracket the tenor. NULL where none do.';
