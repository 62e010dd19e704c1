-- Catalogs that everybody may read.
CREATE OR REPLACE FUNCTION entasis_internal.health_objects() RETURNS TABLE (
    check_name text, subject text, value numeric, since timestamptz
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
    ours CONSTANT oid[] := ARRAY[
        'entasis'::regnamespace, 'entasis_internal'::regnamespace, 'entasis_migrations'::regnamespace
    ]::oid[];
    owners CONSTANT oid[] := ARRAY(
        SELECT r.oid FROM pg_roles AS r WHERE r.rolname IN ('entasis_owner', 'entasis_jobs')
    );
    known CONSTANT oid[] := ARRAY(
        SELECT r.oid FROM pg_roles AS r
        WHERE
            r.rolname IN (
                'entasis_owner', 'entasis_jobs', 'entasis_reader', 'entasis_writer', 'entasis_admin',
                'entasis_service', 'entasis_monitor'
            )
    );
BEGIN
    RETURN QUERY
    SELECT 'trigger_disabled', c.oid::regclass::text, count(*)::numeric, NULL::timestamptz
    FROM pg_trigger AS t
    INNER JOIN pg_class AS c ON t.tgrelid = c.oid
    WHERE c.relnamespace = ANY(ours) AND t.tgenabled = 'D'
    GROUP BY c.oid
    UNION ALL
    SELECT 'row_security_off', c.oid::regclass::text, (NOT c.relrowsecurity)::int::numeric, NULL
    FROM pg_class AS c WHERE c.oid = 'entasis.portfolio_status'::regclass
    UNION ALL
    SELECT 'foreign_owner', o.identity || ' of ' || pg_get_userbyid(o.owner), 1, NULL
    FROM (
        SELECT c.oid::regclass::text AS identity, c.relowner AS owner
        FROM pg_class AS c
        WHERE c.relnamespace = ANY(ours) AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
        UNION ALL
        SELECT p.oid::regprocedure::text, p.proowner
        FROM pg_proc AS p WHERE p.pronamespace = ANY(ours)
        UNION ALL
        SELECT n.nspname::text, n.nspowner FROM pg_namespace AS n WHERE n.oid = ANY(ours)
    ) AS o
    WHERE o.owner <> ALL(owners)
    UNION ALL
    SELECT
        'foreign_grant',
        format('%s on %s to %s', g.privilege_type, g.identity,
            CASE g.grantee WHEN 0 THEN 'everybody' ELSE pg_get_userbyid(g.grantee)::text END),
        1,
        NULL
    FROM (
        SELECT c.oid::regclass::text AS identity, a.grantee, a.privilege_type
        FROM pg_class AS c CROSS JOIN LATERAL aclexplode(c.relacl) AS a
        WHERE c.relnamespace = ANY(ours)
        UNION ALL
        SELECT t.attrelid::regclass || '.' || t.attname, a.grantee, a.privilege_type
        FROM pg_attribute AS t
        INNER JOIN pg_class AS c ON t.attrelid = c.oid
        CROSS JOIN LATERAL aclexplode(t.attacl) AS a
        WHERE c.relnamespace = ANY(ours)
        UNION ALL
        SELECT p.oid::regprocedure::text, a.grantee, a.privilege_type
        FROM pg_proc AS p CROSS JOIN LATERAL aclexplode(p.proacl) AS a
        WHERE p.pronamespace = ANY(ours)
        UNION ALL
        SELECT n.nspname::text, a.grantee, a.privilege_type
        FROM pg_namespace AS n CROSS JOIN LATERAL aclexplode(n.nspacl) AS a
        WHERE n.oid = ANY(ours)
    ) AS g
    WHERE g.grantee <> ALL(known)
    UNION ALL
    SELECT 'index_invalid', i.indexrelid::regclass::text, 1, NULL
    FROM pg_index AS i
    INNER JOIN pg_class AS c ON i.indexrelid = c.oid
    WHERE c.relkind = 'i' AND NOT (i.indisvalid AND i.indisready)
        -- one that is being built has its builder's lock
        AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index AS b WHERE b.index_relid = c.oid)
    UNION ALL
    SELECT 'index_unused', s.indexrelid::regclass::text, 1, d.stats_reset
    FROM pg_stat_user_indexes AS s
    INNER JOIN pg_index AS i ON s.indexrelid = i.indexrelid
    INNER JOIN pg_class AS c ON s.indexrelid = c.oid
    INNER JOIN pg_stat_database AS d ON d.datname = current_database()
    WHERE
        s.idx_scan = 0 AND NOT i.indisunique AND c.relpages >= 8192
        AND d.stats_reset < now() - interval '30 days'
    UNION ALL
    SELECT 'foreign_key_unindexed', k.conrelid::regclass || ' ' || k.conname, 1, NULL
    FROM pg_constraint AS k
    INNER JOIN pg_class AS c ON k.conrelid = c.oid
    WHERE
        k.contype = 'f' AND k.conparentid = 0 AND c.reltuples >= 1000
        AND NOT EXISTS (
            SELECT FROM pg_index AS i
            WHERE
                i.indrelid = k.conrelid AND i.indpred IS NULL
                AND k.conkey @> (i.indkey::smallint[])[0:cardinality(k.conkey) - 1]
                AND (i.indkey::smallint[])[0:cardinality(k.conkey) - 1] @> k.conkey
        );
END
$$;

COMMENT ON FUNCTION entasis_internal.health_objects IS
'For entasis.health: what was switched off, granted or given away in Entasis DB''s schemas, and indexes that are broken, of no use, or missing.';
