CREATE OR REPLACE VIEW entasis.health WITH (security_invoker = on) AS
SELECT
    k.relation,
    k.keep,
    k.archived,
    coalesce(e.partitions, 0) AS past_keep,
    e.oldest AS past_keep_from,
    coalesce(e.kept_because, '{}') AS kept_because,
    coalesce(e.waiting, 0) AS waiting_for_archive,
    a.verified_up_to,
    coalesce(a.stale, 0) AS stale_archives,
    coalesce(g.ranges, '{}') AS gone_without_archive,
    entasis_internal.partitions_reach_ahead(k.relation, k.months_ahead) AS partitions_reach_ahead
FROM entasis.keep_periods AS k
LEFT OUTER JOIN (
    SELECT
        x.relation,
        count(*) AS partitions,
        min(x.from_time) AS oldest,
        count(*) FILTER (
            WHERE k2.archived
            AND entasis_internal.archive_fault(x.relation, x.from_time, x.to_time) IS NOT NULL
        ) AS waiting,
        array_agg(
            DISTINCT coalesce(x.kept_because, 'the next run of maintain() drops it')
        ) AS kept_because
    FROM entasis_internal.expired_partitions() AS x
    INNER JOIN entasis.keep_periods AS k2 ON x.relation = k2.relation
    GROUP BY x.relation
) AS e ON k.relation = e.relation
LEFT OUTER JOIN (
    SELECT
        v.relation,
        max(v.to_time) AS verified_up_to,
        count(*) FILTER (WHERE v.stale_at IS NOT NULL) AS stale
    FROM entasis.archives AS v
    WHERE v.verified_at IS NOT NULL AND v.superseded_at IS NULL
    GROUP BY v.relation
) AS a ON k.relation = a.relation
LEFT OUTER JOIN (
    SELECT
        s.relation,
        array_agg(tstzrange(s.from_time, s.to_time) ORDER BY s.from_time) AS ranges
    FROM entasis_internal.known_partitions AS s
    WHERE
        NOT EXISTS (
            SELECT FROM entasis_internal.partitions_of(s.relation) AS p
            WHERE p.from_time < s.to_time AND p.to_time > s.from_time
        )
        AND NOT EXISTS (
            SELECT FROM entasis.archives AS d
            WHERE
                d.relation = s.relation
                AND d.from_time = s.from_time
                AND d.to_time = s.to_time
                AND d.dropped_at IS NOT NULL
                AND d.superseded_at IS NULL
        )
    GROUP BY s.relation
) AS g ON k.relation = g.relation;

COMMENT ON VIEW entasis.health IS
'The lifecycle of each partitioned relation: partitions past their keep period and why they are still there, those that wait to be archived, and those that are gone without an archive.';
COMMENT ON COLUMN entasis.health.relation IS
'Relation of schema entasis.';
COMMENT ON COLUMN entasis.health.keep IS
'Keep period. NULL: kept for ever.';
COMMENT ON COLUMN entasis.health.archived IS
'Whether its partitions are dropped only with a verified archive.';
COMMENT ON COLUMN entasis.health.past_keep IS
'Number of partitions past their keep period.';
COMMENT ON COLUMN entasis.health.past_keep_from IS
'Start of the oldest of them; UTC. NULL: there is none.';
COMMENT ON COLUMN entasis.health.kept_because IS
'Why they are still there, each reason once.';
COMMENT ON COLUMN entasis.health.waiting_for_archive IS
'Number of them that must be archived, or archived again, before they are dropped.';
COMMENT ON COLUMN entasis.health.verified_up_to IS
'End of the newest range with a verified archive, exclusive; UTC. NULL: there is none.';
COMMENT ON COLUMN entasis.health.stale_archives IS
'Number of current archives that differ from their ranges.';
COMMENT ON COLUMN entasis.health.gone_without_archive IS
'Ranges of partitions that maintenance recorded, which now have neither a partition nor an archive that allowed the drop.';
COMMENT ON COLUMN entasis.health.partitions_reach_ahead IS
'Whether partitions exist as far ahead as keep_periods.months_ahead asks for.';
