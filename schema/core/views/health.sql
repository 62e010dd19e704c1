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
    entasis_internal.reaches_ahead(k.relation, k.months_ahead) AS reaches_ahead
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
    FROM entasis_internal.seen_partitions AS s
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
