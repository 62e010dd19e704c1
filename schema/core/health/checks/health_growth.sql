CREATE OR REPLACE FUNCTION entasis_internal.health_growth() RETURNS TABLE (
    check_name text, subject text, value numeric, since timestamptz
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    bytes CONSTANT numeric := pg_database_size(current_database());
    room CONSTANT numeric := (
        SELECT t.critical - bytes FROM entasis.thresholds AS t WHERE t.check_name = 'database_size'
    );
BEGIN
    RETURN QUERY
    SELECT 'database_size', NULL::text, bytes, NULL::timestamptz
    UNION ALL
    SELECT 'days_left', NULL, greatest(0, round(room / g.bytes_a_day, 1)), NULL
    FROM (
        SELECT (m.newest - m.oldest)::numeric / nullif(m.last_day - m.first_day, 0) AS bytes_a_day
        FROM (
            SELECT
                min(s.measured_on) AS first_day,
                max(s.measured_on) AS last_day,
                sum(s.bytes) FILTER (WHERE s.measured_on = s.first_day) AS oldest,
                sum(s.bytes) FILTER (WHERE s.measured_on = s.last_day) AS newest
            FROM (
                SELECT
                    r.measured_on,
                    r.bytes,
                    min(r.measured_on) OVER () AS first_day,
                    max(r.measured_on) OVER () AS last_day
                FROM entasis_internal.relation_sizes AS r
                WHERE r.measured_on >= current_date - 30
            ) AS s
        ) AS m
    ) AS g
    WHERE room IS NOT NULL AND g.bytes_a_day > 0
    UNION ALL
    -- of what a sequence gave since the installation
    SELECT
        'days_left', 'ids of ' || s.subject,
        round(
            (100 - s.value) / s.value
            * greatest(1, extract(EPOCH FROM now() - i.installed_at) / 86400), 1
        ),
        NULL
    FROM entasis_internal.sequences_used() AS s
    CROSS JOIN entasis.installation AS i
    WHERE s.value > 0;
END
$$;

COMMENT ON FUNCTION entasis_internal.health_growth IS
'For entasis.health: the size of the database, the days until it has the critical size of entasis.thresholds at the growth of the last 30 days, and those until a sequence ends. SQL does not see how much room a disk has.';
