-- Dropping a partition raises the floor to its end, so partitions are dropped in order: an older one left
-- below the floor could not be corrected any more, nor repaired if it cannot be archived. A partition that
-- is below the floor already was restored or reopened there, and keeps no other.
CREATE OR REPLACE FUNCTION entasis_internal.expired_partitions(after_trades boolean DEFAULT FALSE)
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
    WITH expired AS (
        SELECT
            k.relation,
            p.partition_oid,
            p.partition_name,
            p.from_time,
            p.to_time,
            k.derived_from,
            f.floor,
            coalesce(
                CASE
                    WHEN k.archived
                        THEN entasis_internal.archive_fault(k.relation, p.from_time, p.to_time)
                END,
                entasis_internal.restore_hold(k.relation, p.from_time, p.to_time)
            ) AS fault
        FROM entasis.keep_periods AS k
        INNER JOIN entasis.floors AS f ON k.relation = f.relation
        CROSS JOIN LATERAL entasis_internal.partitions_of(k.relation) AS p
        WHERE p.to_time <= entasis.keep_from(k.keep)
    ),

    -- what may go now, were there no relations that others are derived from
    in_order AS (
        SELECT
            e.*,
            coalesce(
                e.fault,
                CASE
                    WHEN
                        bool_or(e.fault IS NOT NULL AND e.to_time > e.floor) OVER (
                            PARTITION BY e.relation ORDER BY e.from_time
                        )
                        THEN 'an older one of its relation stays'
                END
            ) AS kept_because
        FROM expired AS e
    ),

    -- trades of a month keep the candles of that month and of all later ones
    derived AS (
        SELECT
            e.partition_oid,
            bool_or(
                r.from_time < e.to_time AND NOT (
                    expired_partitions.after_trades
                    AND EXISTS (
                        SELECT FROM in_order AS o
                        WHERE o.partition_oid = r.partition_oid AND o.kept_because IS NULL
                    )
                )
            ) AS has_trades
        FROM expired AS e
        CROSS JOIN LATERAL entasis_internal.partitions_of(e.derived_from) AS r
        WHERE e.derived_from IS NOT NULL
        GROUP BY e.partition_oid
    )

    SELECT
        o.relation,
        o.partition_oid,
        o.partition_name,
        o.from_time,
        o.to_time,
        coalesce(
            o.fault,
            CASE
                WHEN d.has_trades
                    THEN o.derived_from || ' still has trades of that time or before'
            END,
            o.kept_because
        ) AS kept_because
    FROM in_order AS o
    LEFT OUTER JOIN derived AS d ON o.partition_oid = d.partition_oid
    -- trades before their candles: a candle is dropped only after its trades
    ORDER BY o.derived_from IS NOT NULL, o.relation, o.from_time;
END;

COMMENT ON FUNCTION entasis_internal.expired_partitions IS
'Partitions that lie entirely past their keep period, in the order in which they may be dropped. kept_because is the reason why one may not be dropped now, or, with after_trades, once the trades that may be dropped now have gone. NULL: it may.';
