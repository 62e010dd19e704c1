-- Dropping a partition raises the floor to its end, so partitions are dropped in order: an older one left
-- below the floor could not be corrected any more, nor repaired if it cannot be archived. A partition that
-- is below the floor already was restored there, and keeps no other.
CREATE OR REPLACE FUNCTION entasis_internal.expired_partitions()
RETURNS TABLE (
    relation text,
    partition_oid oid,
    partition_name name,
    from_time timestamptz,
    to_time timestamptz,
    kept_because text
)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
SET timezone = 'UTC'
BEGIN ATOMIC
    SELECT
        e.relation,
        e.partition_oid,
        e.partition_name,
        e.from_time,
        e.to_time,
        coalesce(
            e.fault,
            CASE
                WHEN
                    bool_or(e.fault IS NOT NULL AND e.to_time > f.floor) OVER (
                        PARTITION BY e.relation ORDER BY e.from_time
                    )
                    THEN 'an older one of its relation stays'
            END
        ) AS kept_because
    FROM (
        SELECT
            k.relation,
            p.partition_oid,
            p.partition_name,
            p.from_time,
            p.to_time,
            k.derived_from,
            coalesce(
                CASE
                    WHEN k.archived
                        THEN entasis_internal.archive_fault(k.relation, p.from_time, p.to_time)
                END,
                entasis_internal.restore_hold(k.relation, p.from_time, p.to_time),
                CASE
                    WHEN k.derived_from IS NULL THEN NULL
                    WHEN EXISTS (
                        SELECT FROM entasis_internal.partitions_of(k.derived_from) AS raw
                        WHERE raw.from_time < p.to_time
                    ) THEN k.derived_from || ' still has trades of that time or before'
                END
            ) AS fault
        FROM entasis.keep_periods AS k
        CROSS JOIN LATERAL entasis_internal.partitions_of(k.relation) AS p
        WHERE p.to_time <= entasis.keep_from(k.keep)
    ) AS e
    INNER JOIN entasis.floors AS f ON e.relation = f.relation
    -- trades before their candles: a candle is dropped only after its trades
    ORDER BY e.derived_from IS NOT NULL, e.relation, e.from_time;
END;

COMMENT ON FUNCTION entasis_internal.expired_partitions IS
'Partitions that lie entirely past their keep period, in the order in which they may be dropped. kept_because is the reason why one may not be dropped now. NULL: it may.';
