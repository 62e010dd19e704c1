CREATE OR REPLACE VIEW entasis.lifecycle WITH (security_invoker = on) AS
-- once, not for each partition that is known
WITH existing AS MATERIALIZED (
    SELECT
        f.relation,
        p.from_time,
        p.to_time
    FROM entasis.floors AS f
    CROSS JOIN LATERAL entasis_internal.partitions_of(f.relation) AS p
)

SELECT
    k.relation,
    k.keep,
    k.archived,
    coalesce(e.partitions, 0) AS past_keep,
    e.oldest AS past_keep_from,
    coalesce(e.kept_because, r.kept_because, '{}') AS kept_because,
    coalesce(e.waiting, 0) AS waiting_for_archive,
    coalesce(e.waiting_bytes, 0)::bigint AS waiting_bytes,
    a.verified_up_to,
    coalesce(a.stale, 0) AS stale_archives,
    coalesce(g.ranges, '{}') AS gone_without_archive,
    CASE
        WHEN f.relation IS NOT NULL
            THEN entasis_internal.partitions_reach_ahead(k.relation, k.months_ahead)
    END AS partitions_reach_ahead,
    k.bytes,
    k.bytes - (
        SELECT m.bytes FROM entasis_internal.relation_sizes AS m
        WHERE m.relation = k.relation AND m.measured_on >= (now() AT TIME ZONE 'UTC')::date - 30
        ORDER BY m.measured_on
        LIMIT 1
    ) AS grown_in_30_days
FROM (
    SELECT
        kp.*,
        entasis_internal.relation_bytes(kp.relation) AS bytes
    FROM entasis.keep_periods AS kp
) AS k
LEFT OUTER JOIN entasis.floors AS f ON k.relation = f.relation
LEFT OUTER JOIN (
    SELECT
        u.relation,
        ARRAY['it has no archive: rows are deleted only with archived = false'] AS kept_because
    FROM entasis.keep_periods AS u
    WHERE
        u.keep IS NOT NULL
        AND u.archived
        AND NOT EXISTS (
            SELECT FROM entasis.floors AS p
            WHERE p.relation = u.relation
        )
) AS r ON k.relation = r.relation
LEFT OUTER JOIN (
    SELECT
        x.relation,
        count(*) AS partitions,
        min(x.from_time) AS oldest,
        count(*) FILTER (WHERE k2.archived AND x.fault IS NOT NULL) AS waiting,
        sum(x.bytes) FILTER (WHERE k2.archived AND x.fault IS NOT NULL) AS waiting_bytes,
        array_agg(
            DISTINCT coalesce(x.kept_because, 'the next run of maintain() drops it')
        ) AS kept_because
    FROM (
        SELECT
            p.*,
            entasis_internal.archive_fault(p.relation, p.from_time, p.to_time) AS fault,
            (
                SELECT s.bytes FROM entasis_internal.partition_sizes(p.relation) AS s
                WHERE s.partition_oid = p.partition_oid
            ) AS bytes
        FROM entasis_internal.expired_partitions() AS p
    ) AS x
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
            SELECT FROM existing AS p
            WHERE
                p.relation = s.relation
                AND p.from_time < s.to_time
                AND p.to_time > s.from_time
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

COMMENT ON VIEW entasis.lifecycle IS
'The lifecycle of each relation that grows: its size and growth, partitions past their keep period and why they are still there, those that wait to be archived, and those that are gone without an archive.';
COMMENT ON COLUMN entasis.lifecycle.relation IS
'Relation of schema entasis.';
COMMENT ON COLUMN entasis.lifecycle.keep IS
'Keep period. NULL: kept for ever.';
COMMENT ON COLUMN entasis.lifecycle.archived IS
'Whether its partitions are dropped only with a verified archive.';
COMMENT ON COLUMN entasis.lifecycle.past_keep IS
'Number of partitions past their keep period.';
COMMENT ON COLUMN entasis.lifecycle.past_keep_from IS
'Start of the oldest of them; UTC. NULL: there is none.';
COMMENT ON COLUMN entasis.lifecycle.kept_because IS
'Why they are still there, each reason once.';
COMMENT ON COLUMN entasis.lifecycle.waiting_for_archive IS
'Number of them that must be archived, or archived again, before they are dropped.';
COMMENT ON COLUMN entasis.lifecycle.waiting_bytes IS
'Size on disk of those that wait to be archived, in bytes.';
COMMENT ON COLUMN entasis.lifecycle.verified_up_to IS
'End of the newest range with a verified archive, exclusive; UTC. NULL: there is none.';
COMMENT ON COLUMN entasis.lifecycle.stale_archives IS
'Number of current archives that differ from their ranges.';
COMMENT ON COLUMN entasis.lifecycle.gone_without_archive IS
'Ranges of partitions that maintenance recorded, which now have neither a partition nor an archive that allowed the drop.';
COMMENT ON COLUMN entasis.lifecycle.partitions_reach_ahead IS
'Whether partitions exist as far ahead as keep_periods.months_ahead asks for. NULL: the relation has no partitions.';
COMMENT ON COLUMN entasis.lifecycle.bytes IS
'Size on disk with its indexes, in bytes.';
COMMENT ON COLUMN entasis.lifecycle.grown_in_30_days IS
'By how many bytes it has grown since the oldest measurement of the last 30 days; negative if it shrank. Maintenance measures once a day. NULL: there is none yet.';
