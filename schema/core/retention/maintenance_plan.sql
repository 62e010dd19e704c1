CREATE OR REPLACE FUNCTION entasis.maintenance_plan() RETURNS TABLE (
    relation text,
    partition_name name,
    from_time timestamptz,
    to_time timestamptz,
    bytes bigint,
    goes boolean,
    reason text
)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET intervalstyle = 'postgres'
SET jit = off
SET timezone = 'UTC'
SET datestyle = 'ISO'
BEGIN ATOMIC
    SELECT
        e.relation,
        e.partition_name,
        e.from_time,
        e.to_time,
        (
            SELECT s.bytes FROM entasis_internal.partition_sizes(e.relation) AS s
            WHERE s.partition_oid = e.partition_oid
        ) AS bytes,
        e.kept_because IS NULL AS goes,
        coalesce(
            e.kept_because,
            format('older than %s, ', k.keep) || CASE
                WHEN NOT k.archived THEN 'and discarded: archived = false'
                ELSE
                    'and archived '
                    || (
                        SELECT to_char(max(a.verified_at), 'YYYY-MM-DD HH24:MI') || ' UTC'
                        FROM entasis.archives AS a
                        WHERE
                            a.relation = e.relation
                            AND a.from_time = e.from_time
                            AND a.to_time = e.to_time
                            AND a.superseded_at IS NULL
                    )
                    || '; compared with its archive once more before it goes'
            END
        ) AS reason
    FROM entasis_internal.expired_partitions(after_trades => TRUE) AS e
    INNER JOIN entasis.keep_periods AS k ON e.relation = k.relation
    ORDER BY k.derived_from IS NOT NULL, e.relation, e.from_time;
END;

COMMENT ON FUNCTION entasis.maintenance_plan IS
'The partitions past their keep period, and what the next maintain() would do with each: goes tells whether it would be dropped, reason why or why not, bytes the disk space that it takes. Changes nothing.';
