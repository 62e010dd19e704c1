-- Catalogs and statistics that everybody may read, of all tables of the database: indexes of partitions and chunks are
-- taken together with those of their siblings.
CREATE OR REPLACE FUNCTION entasis_internal.health_indexes() RETURNS TABLE (
    check_name text, subject text, value numeric, since timestamptz
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
BEGIN
    RETURN QUERY
    SELECT 'index_invalid', i.indexrelid::regclass::text, 1::numeric, NULL::timestamptz
    FROM pg_index AS i
    INNER JOIN pg_class AS c ON i.indexrelid = c.oid
    WHERE NOT (i.indisvalid AND i.indisready)
        -- one that is being built has its builder's lock
        AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index AS b WHERE b.index_relid = c.oid)
    UNION ALL
    SELECT
        'index_unused',
        u.relation || ' ' || u.name,
        round(extract(EPOCH FROM clock_timestamp() - u.unused_since) / 86400, 2),
        u.unused_since
    FROM (
        SELECT
            coalesce(h.inhparent, s.relid)::regclass::text AS relation,
            min(s.indexrelname::text) || CASE WHEN count(*) > 1 THEN ' ...' ELSE '' END AS name,
            greatest(
                entasis_internal.statistics_since(max(d.stats_reset)),
                -- from PostgreSQL 16 on
                max((to_jsonb(s) ->> 'last_idx_scan')::timestamptz)
            ) AS unused_since
        FROM pg_stat_user_indexes AS s
        INNER JOIN pg_index AS i ON s.indexrelid = i.indexrelid
        INNER JOIN pg_class AS c ON s.indexrelid = c.oid
        INNER JOIN pg_stat_database AS d ON d.datname = current_database()
        LEFT OUTER JOIN pg_inherits AS h ON s.relid = h.inhrelid
        GROUP BY coalesce(h.inhparent, s.relid), coalesce(h.inhparent, s.indexrelid), i.indkey, i.indclass
        HAVING
            sum(c.relpages) >= 2048
            AND NOT bool_or(i.indisunique)
            -- before that, when it was last used is not told
            AND (sum(s.idx_scan) = 0 OR current_setting('server_version_num')::int >= 160000)
    ) AS u
    UNION ALL
    SELECT 'foreign_key_unindexed', k.conrelid::regclass || ' ' || k.conname, r.number, NULL
    FROM pg_constraint AS k
    CROSS JOIN LATERAL (
        -- what was counted lately, or by the last ANALYZE
        SELECT sum(greatest(0, c.reltuples, pg_stat_get_live_tuples(c.oid)))::numeric AS number
        FROM pg_class AS c
        WHERE
            c.oid = k.conrelid
            OR c.oid IN (SELECT t.relid FROM pg_partition_tree(k.conrelid) AS t WHERE t.isleaf)
    ) AS r
    WHERE
        k.contype = 'f' AND k.conparentid = 0
        AND NOT EXISTS (
            SELECT FROM pg_index AS i
            WHERE
                i.indrelid = k.conrelid AND i.indpred IS NULL AND i.indisvalid
                AND k.conkey @> (i.indkey::smallint[])[0:cardinality(k.conkey) - 1]
                AND (i.indkey::smallint[])[0:cardinality(k.conkey) - 1] @> k.conkey
        );
END
$$;

COMMENT ON FUNCTION entasis_internal.health_indexes IS
'For entasis.health: indexes that are broken, of no use, or missing.';
