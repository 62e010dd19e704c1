CREATE OR REPLACE FUNCTION entasis_internal.partitions_end()
RETURNS TABLE (relation text, to_time timestamptz)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
BEGIN
    -- the end of the partitions that follow one another from now on: what lies behind a gap is of no use in it
    RETURN QUERY
    SELECT f.relation, coalesce(max(g.to_time), now())
    FROM entasis.floors AS f
    LEFT OUTER JOIN LATERAL (
        SELECT
            p.from_time,
            p.to_time,
            bool_and(p.from_time <= p.reached) OVER (ORDER BY p.from_time) AS follows
        FROM (
            SELECT
                q.from_time,
                q.to_time,
                coalesce(max(q.to_time) OVER (
                    ORDER BY q.from_time ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                ), now()) AS reached
            FROM entasis_internal.partitions_of(f.relation) AS q
            WHERE q.to_time > now()
        ) AS p
    ) AS g ON g.follows
    GROUP BY f.relation;
END
$$;

COMMENT ON FUNCTION entasis_internal.partitions_end IS
'Up to when rows of each partitioned relation can be stored, without a gap from now on; UTC. Now: none of today''s can.';
