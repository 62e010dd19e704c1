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
    WITH relations AS MATERIALIZED (
        SELECT c.oid, c.relowner, c.relacl, p.relacl AS parent_acl
        FROM pg_class AS c
        LEFT OUTER JOIN pg_inherits AS i ON c.oid = i.inhrelid AND c.relnamespace <> ALL(ours)
        LEFT OUTER JOIN pg_class AS p ON i.inhparent = p.oid
        -- what an extension keeps for us in a schema of its own is the owner's, too
        WHERE c.relnamespace = ANY(ours) OR c.relowner = ANY(owners) AND c.relname !~ 'compress'
    )

    SELECT 'trigger_disabled', c.oid::regclass::text, count(*)::numeric, NULL::timestamptz
    FROM pg_trigger AS t
    INNER JOIN relations AS c ON t.tgrelid = c.oid
    -- the latter fires for what was replicated only
    WHERE t.tgenabled IN ('D', 'R')
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
        SELECT t.oid::regtype::text, t.typowner
        FROM pg_type AS t WHERE t.typnamespace = ANY(ours) AND t.typtype IN ('d', 'e')
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
        FROM relations AS c
        CROSS JOIN LATERAL aclexplode(c.relacl) AS a
        WHERE a.grantee <> c.relowner AND c.relacl IS DISTINCT FROM c.parent_acl
        UNION ALL
        SELECT t.attrelid::regclass || '.' || t.attname, a.grantee, a.privilege_type
        FROM pg_attribute AS t
        INNER JOIN relations AS c ON t.attrelid = c.oid
        CROSS JOIN LATERAL aclexplode(t.attacl) AS a
        -- a chunk has those of its table
        WHERE c.parent_acl IS NULL
        UNION ALL
        SELECT p.oid::regprocedure::text, a.grantee, a.privilege_type
        FROM pg_proc AS p
        -- without an entry, everybody may execute it; what others own is told of as theirs
        CROSS JOIN LATERAL aclexplode(
            coalesce(p.proacl, CASE WHEN p.proowner = ANY(owners) THEN acldefault('f', p.proowner) END)
        ) AS a
        WHERE p.pronamespace = ANY(ours) AND a.grantee <> p.proowner
        UNION ALL
        SELECT
            format(
                'what %s makes%s', pg_get_userbyid(d.defaclrole), ' in schema ' || n.nspname
            ),
            a.grantee, a.privilege_type
        FROM pg_default_acl AS d
        LEFT OUTER JOIN pg_namespace AS n ON d.defaclnamespace = n.oid
        CROSS JOIN LATERAL aclexplode(d.defaclacl) AS a
        WHERE (n.oid = ANY(ours) OR d.defaclrole = ANY(owners)) AND a.grantee <> d.defaclrole
        UNION ALL
        SELECT n.nspname::text, a.grantee, a.privilege_type
        FROM pg_namespace AS n CROSS JOIN LATERAL aclexplode(n.nspacl) AS a
        WHERE n.oid = ANY(ours) AND a.grantee <> n.nspowner
    ) AS g
    WHERE g.grantee <> ALL(known);
END
$$;

COMMENT ON FUNCTION entasis_internal.health_objects IS
'For entasis.health: what was switched off, granted or given away in Entasis DB''s schemas.';
