-- What was loaded a moment ago waits from that moment on, however old it is: known_partitions has when it was first seen,
-- and what it has not seen yet does not wait.
CREATE OR REPLACE FUNCTION entasis_internal.health_retention() RETURNS TABLE (
    check_name text, subject text, value numeric, since timestamptz
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET jit = off
AS $$
BEGIN
    RETURN QUERY
    WITH existing AS MATERIALIZED (
        SELECT f.relation, f.floor, p.partition_name, p.from_time, p.to_time
        FROM entasis.floors AS f
        CROSS JOIN LATERAL entasis_internal.partitions_of(f.relation) AS p
    ),

    -- a table that was one of its partitions, or is about to be none
    detached AS MATERIALIZED (
        SELECT s.relation, c.relname AS partition_name
        FROM entasis_internal.known_partitions AS s
        INNER JOIN pg_class AS c ON s.partition_name = c.relname
        WHERE
            c.relnamespace IN ('entasis_internal'::regnamespace, 'entasis'::regnamespace)
            AND c.relkind = 'r'
            AND (
                NOT c.relispartition
                OR EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhrelid = c.oid AND i.inhdetachpending)
            )
    ),

    archived AS MATERIALIZED (
        SELECT a.relation, a.from_time, a.to_time, a.stale_at
        FROM entasis.archives AS a
        WHERE a.verified_at IS NOT NULL AND a.superseded_at IS NULL AND a.dropped_at IS NULL
    ),

    expired AS (
        SELECT
            e.relation,
            e.partition_name,
            k.archived AND (a.relation IS NULL OR a.stale_at IS NOT NULL) AS awaits_archive,
            greatest(e.to_time + k.keep, s.first_seen_at) AS expired_at
        FROM existing AS e
        INNER JOIN entasis.keep_periods AS k ON e.relation = k.relation
        INNER JOIN entasis_internal.known_partitions AS s
            ON e.relation = s.relation AND e.from_time = s.from_time AND e.to_time = s.to_time
        LEFT OUTER JOIN archived AS a
            ON e.relation = a.relation AND e.from_time = a.from_time AND e.to_time = a.to_time
        -- below the floor it was restored or reopened, to be looked at
        WHERE e.to_time <= entasis.keep_from(k.keep) AND e.to_time > e.floor
    )

    SELECT
        CASE WHEN x.awaits_archive THEN 'archive_lag' ELSE 'past_keep' END,
        x.partition_name::text,
        round(extract(EPOCH FROM now() - x.expired_at) / 86400, 2),
        x.expired_at
    FROM expired AS x
    UNION ALL
    SELECT 'archive_stale', a.relation, count(*)::numeric, min(a.stale_at)
    FROM archived AS a
    WHERE a.stale_at IS NOT NULL
    GROUP BY a.relation
    UNION ALL
    SELECT
        'partition_detached', d.relation || ' ' || d.partition_name, 1,
        (
            SELECT max(l.logged_at) FROM entasis.maintenance_log AS l
            WHERE l.relation = d.relation AND l.action = 'detach' AND l.detail = d.partition_name
        )
    FROM detached AS d
    UNION ALL
    SELECT 'gone_without_archive', s.relation, count(*)::numeric, NULL
    FROM entasis_internal.known_partitions AS s
    WHERE
        NOT EXISTS (
            SELECT FROM detached AS d
            WHERE d.relation = s.relation AND d.partition_name = s.partition_name
        )
        AND NOT EXISTS (
            SELECT FROM existing AS e
            WHERE e.relation = s.relation AND e.from_time < s.to_time AND e.to_time > s.from_time
        )
        AND NOT EXISTS (
            SELECT FROM entasis.archives AS d
            WHERE
                d.relation = s.relation AND d.from_time = s.from_time AND d.to_time = s.to_time
                AND d.dropped_at IS NOT NULL AND d.superseded_at IS NULL
        )
    GROUP BY s.relation
    UNION ALL
    SELECT
        'partitions_ahead', p.relation, round(extract(EPOCH FROM p.to_time - now()) / 86400, 1), NULL
    FROM entasis_internal.partitions_end() AS p;
END
$$;

COMMENT ON FUNCTION entasis_internal.health_retention IS
'For entasis.health: what is past its keep period, waits for the archive, or is gone without one, and how far ahead partitions reach.';
