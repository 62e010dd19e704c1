CREATE OR REPLACE FUNCTION entasis.iv_rank(
    underlying_name text,
    at_time timestamptz DEFAULT now(),
    lookback interval DEFAULT interval '365 days',
    tenor interval DEFAULT interval '30 days',
    max_age interval DEFAULT interval '1 day'
) RETURNS TABLE (
    iv numeric, low numeric, high numeric, day_count bigint, rank numeric, percentile numeric
)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    WITH latest AS MATERIALIZED (
        SELECT
            entasis_internal.iv_at_tenor(
                iv_rank.underlying_name, iv_rank.at_time, iv_rank.tenor, iv_rank.max_age
            ) AS iv
    ),

    history AS (
        SELECT
            min(h.iv) AS low,
            max(h.iv) AS high,
            count(h.iv) AS day_count,
            count(h.iv) FILTER (WHERE h.iv < l.iv) AS below
        FROM
            entasis.iv_history(
                iv_rank.underlying_name,
                (iv_rank.at_time AT TIME ZONE 'UTC' - iv_rank.lookback) AT TIME ZONE 'UTC',
                date_trunc('day', iv_rank.at_time AT TIME ZONE 'UTC') AT TIME ZONE 'UTC',
                iv_rank.tenor,
                iv_rank.max_age
            ) AS h
        CROSS JOIN latest AS l
    )

    SELECT
        l.iv,
        least(h.low, l.iv) AS low,
        greatest(h.high, l.iv) AS high,
        h.day_count,
        CASE
            WHEN h.day_count > 0
                THEN
                    (l.iv - least(h.low, l.iv))
                    / nullif(greatest(h.high, l.iv) - least(h.low, l.iv), 0)
        END AS rank,
        CASE WHEN l.iv IS NOT NULL THEN h.below::numeric / nullif(h.day_count, 0) END AS percentile
    FROM latest AS l
    CROSS JOIN history AS h;
END;

COMMENT ON FUNCTION entasis.iv_rank IS
'Where implied volatility at the money stands among that of the days before: one row. iv is that at at_time, as of iv_history(), a fraction per year; low and high are the least and the greatest of it and of those of the days of UTC that began at at_time - lookback or later and ended by at_time; day_count is how many of these have one. rank is (iv - low) / (high - low), percentile the share of these days whose volatility was below iv; both from 0 to 1, NULL where iv is, or no day has one, and rank also where low = high. Quotients are rounded half away from zero to at least 16 significant digits. Each day of the lookback costs what one iv_term_structure() does.';
