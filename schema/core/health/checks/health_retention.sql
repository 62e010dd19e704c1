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
    SELECT
        CASE WHEN x.awaits_archive THEN 'archive_lag' ELSE 'past_keep' END,
        format('%s: %s', x.partition_name, coalesce(x.kept_because, 'the next maintain() drops it')),
        round(extract(EPOCH FROM now() - x.expired_at) / 86400, 2),
        x.expired_at
    FROM (
        SELECT
            e.partition_name,
            e.kept_because,
            k.archived
            AND entasis_internal.archive_fault(e.relation, e.from_time, e.to_time) IS NOT NULL
            AS awaits_archive,
            greatest(e.to_time + k.keep, s.first_seen_at) AS expired_at
        FROM entasis_internal.expired_partitions() AS e
        INNER JOIN entasis.keep_periods AS k ON e.relation = k.relation
        INNER JOIN entasis_internal.known_partitions AS s
            ON e.relation = s.relation AND e.from_time = s.from_time AND e.to_time = s.to_time
    ) AS x
    UNION ALL
    SELECT 'archive_stale', a.relation, count(*)::numeric, min(a.stale_at)
    FROM entasis.archives AS a
    WHERE a.stale_at IS NOT NULL AND a.verified_at IS NOT NULL AND a.superseded_at IS NULL
    GROUP BY a.relation
    UNION ALL
    SELECT
        'gone_without_archive', l.relation, cardinality(l.gone_without_archive)::numeric, NULL
    FROM entasis.lifecycle AS l
    WHERE l.gone_without_archive <> '{}'
    UNION ALL
    SELECT
        'partitions_ahead', p.relation, round(extract(EPOCH FROM p.to_time - now()) / 86400, 1), NULL
    FROM entasis_internal.partitions_end() AS p;
END
$$;

COMMENT ON FUNCTION entasis_internal.health_retention IS
'For entasis.health: what is past its keep period, waits for the archive, or is gone without one, and how far ahead partitions reach.';
