-- Digests are of the catalog's own texts, not of those that pg_get_viewdef() and its like make: these wait for locks. They name others by
-- their oids, so that a restored database, or one of another server, has other texts: the first row tells.
-- Partitions and chunks are left out: they come and go, and have what their table has. So are aggregates of candles, whose
-- text is the extension's.
CREATE OR REPLACE FUNCTION entasis_internal.objects_now()
RETURNS TABLE (kind text, object_name text, digest text, object_oid oid)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET quote_all_identifiers = off
SET jit = off
AS $$
DECLARE
    ours CONSTANT oid[] := ARRAY[
        'entasis'::regnamespace, 'entasis_internal'::regnamespace, 'entasis_migrations'::regnamespace
    ]::oid[];
BEGIN
    RETURN QUERY
    WITH relations AS MATERIALIZED (
        SELECT c.oid, c.relname, c.relkind, c.relacl, c.relowner
        FROM pg_class AS c
        WHERE c.relnamespace = ANY(ours) AND NOT c.relispartition
    ),

    routines AS MATERIALIZED (
        SELECT p.* FROM pg_proc AS p
        WHERE p.pronamespace = ANY(ours) AND pg_get_userbyid(p.proowner) IN ('entasis_owner', 'entasis_jobs')
    )

    SELECT
        'database', 'texts',
        concat_ws(
            ' ', 'entasis.health'::regclass::oid, current_setting('server_version_num')::int / 10000
        ),
        NULL::oid
    UNION ALL
    SELECT
        'trigger', format('%I on %s', t.tgname, t.tgrelid::regclass),
        md5(concat_ws(
            ' ', t.tgtype, t.tgfoid::regproc, t.tgargs, t.tgattr, t.tgqual, t.tgoldtable, t.tgnewtable
        )),
        t.oid
    FROM pg_trigger AS t
    INNER JOIN routines AS p ON t.tgfoid = p.oid
    WHERE
        NOT t.tgisinternal AND t.tgparentid = 0
        AND NOT EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhrelid = t.tgrelid)
    UNION ALL
    SELECT
        'routine', p.oid::regprocedure::text,
        md5(concat(p.prosrc, p.prosqlbody, p.prosecdef, p.proconfig)),
        p.oid
    FROM routines AS p
    UNION ALL
    SELECT 'view', c.oid::regclass::text, md5(r.ev_action::text), c.oid
    FROM relations AS c
    INNER JOIN pg_rewrite AS r ON c.oid = r.ev_class
    WHERE c.relkind = 'v' AND c.relname NOT IN ('ohlcv_1m', 'ohlcv_1h', 'ohlcv_1d')
    UNION ALL
    SELECT
        'policy', format('%I on %s', l.polname, l.polrelid::regclass),
        md5(concat_ws(
            ' ', l.polpermissive, l.polcmd, l.polroles::regrole[], l.polqual, l.polwithcheck
        )),
        l.oid
    FROM pg_policy AS l
    INNER JOIN relations AS c ON l.polrelid = c.oid
    UNION ALL
    SELECT
        'constraint', format('%I of %s', k.conname, k.conrelid::regclass),
        md5(concat_ws(
            ' ', k.contype, k.conkey, k.conbin, k.confrelid::regclass, k.confkey, k.confupdtype,
            k.confdeltype, k.condeferrable, k.convalidated
        )),
        k.oid
    FROM pg_constraint AS k
    INNER JOIN relations AS c ON k.conrelid = c.oid
    WHERE k.contype IN ('c', 'f', 'p', 'u', 'x')
    UNION ALL
    SELECT
        'index', i.indexrelid::regclass::text,
        md5(concat_ws(
            ' ', i.indkey, i.indclass, i.indoption, i.indcollation, i.indisunique, i.indexprs, i.indpred
        )),
        i.indexrelid
    FROM pg_index AS i
    INNER JOIN relations AS c ON i.indrelid = c.oid
    WHERE NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = i.indexrelid)
    UNION ALL
    SELECT
        'right',
        format('%s on %s to %s', a.privilege_type, o.identity,
            CASE a.grantee WHEN 0 THEN 'everybody' ELSE pg_get_userbyid(a.grantee)::text END),
        '', NULL
    FROM (
        SELECT c.oid::regclass::text AS identity, c.relacl AS acl, c.relowner AS owner
        FROM relations AS c
        UNION ALL
        SELECT c.oid::regclass || '.' || t.attname, t.attacl, c.relowner
        FROM relations AS c
        INNER JOIN pg_attribute AS t ON c.oid = t.attrelid
        WHERE t.attacl IS NOT NULL
        UNION ALL
        SELECT p.oid::regprocedure::text, p.proacl, p.proowner FROM routines AS p
        UNION ALL
        SELECT n.nspname::text, n.nspacl, n.nspowner FROM pg_namespace AS n WHERE n.oid = ANY(ours)
    ) AS o
    CROSS JOIN LATERAL aclexplode(o.acl) AS a
    WHERE
        a.grantee = 0 OR a.grantee <> o.owner AND EXISTS (
            SELECT FROM pg_roles AS r
            WHERE
                r.oid = a.grantee
                AND r.rolname IN (
                    'entasis_reader', 'entasis_writer', 'entasis_admin', 'entasis_service', 'entasis_monitor'
                )
        );
END
$$;

COMMENT ON FUNCTION entasis_internal.objects_now IS
'What Entasis DB has in the catalogs that a migration run makes or grants, as entasis_internal.made_objects keeps it.';
