CREATE OR REPLACE FUNCTION entasis_internal.health_changes() RETURNS TABLE (
    check_name text, subject text, value numeric, since timestamptz
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
BEGIN
    -- a database that was not migrated since this is made knows nothing to compare with
    RETURN QUERY
    WITH present AS MATERIALIZED (
        SELECT * FROM entasis_internal.objects_now()
    )

    SELECT
        CASE coalesce(m.kind, n.kind)
            WHEN 'trigger' THEN 'trigger_disabled'
            WHEN 'policy' THEN 'row_security_off'
            WHEN 'right' THEN CASE WHEN m.kind IS NULL THEN 'foreign_grant' ELSE 'object_changed' END
            ELSE 'object_changed'
        END,
        CASE
            WHEN n.kind IS NULL AND m.kind IN ('index', 'constraint')
                THEN format('%s %s is gone: %s', m.kind, m.object_name, m.written)
            WHEN n.kind IS NULL THEN format('%s %s is gone', m.kind, m.object_name)
            WHEN n.kind = 'right' THEN n.object_name
            WHEN m.kind IS NULL THEN format('%s %s was added', n.kind, n.object_name)
            ELSE format('%s %s is another', m.kind, m.object_name)
        END,
        1::numeric,
        NULL::timestamptz
    FROM entasis_internal.made_objects AS m
    FULL OUTER JOIN present AS n ON m.kind = n.kind AND m.object_name = n.object_name
    WHERE
        m.digest IS DISTINCT FROM n.digest
        AND coalesce(m.kind, n.kind) <> 'database'
        AND (
            m.kind IS NULL OR n.kind IS NULL
            OR EXISTS (
                SELECT FROM entasis_internal.made_objects AS d
                INNER JOIN present AS e ON d.digest = e.digest
                WHERE d.kind = 'database' AND e.kind = 'database'
            )
        )
        -- what others have beside it is theirs, but for what lets somebody see or do more
        AND (
            m.kind IS NOT NULL
            OR n.kind = 'policy'
            -- what everybody has, health_objects() finds
            OR n.kind = 'right' AND n.object_name NOT LIKE '% to everybody'
        )
        AND EXISTS (SELECT FROM entasis_internal.made_objects)
    UNION ALL
    SELECT
        'foreign_grant', format('%s to %s', h.held, h.rolname), 1, NULL
    FROM (
        SELECT r.rolname, 'membership in ' || g.rolname AS held
        FROM pg_auth_members AS m
        INNER JOIN pg_roles AS r ON m.member = r.oid
        INNER JOIN pg_roles AS g ON m.roleid = g.oid
        WHERE
            (r.rolname, g.rolname) NOT IN (
                ('entasis_writer', 'entasis_reader'), ('entasis_admin', 'entasis_writer'),
                ('entasis_monitor', 'pg_monitor')
            )
        UNION ALL
        SELECT r.rolname, a.held
        FROM pg_roles AS r
        CROSS JOIN LATERAL (VALUES
            ('SUPERUSER', r.rolsuper), ('BYPASSRLS', r.rolbypassrls), ('CREATEROLE', r.rolcreaterole),
            ('CREATEDB', r.rolcreatedb), ('REPLICATION', r.rolreplication), ('LOGIN', r.rolcanlogin)
        ) AS a (held, has)
        WHERE a.has
    ) AS h
    WHERE
        h.rolname IN (
            'entasis_reader', 'entasis_writer', 'entasis_admin', 'entasis_service', 'entasis_monitor'
        );
END
$$;

COMMENT ON FUNCTION entasis_internal.health_changes IS
'For entasis.health: what was changed, added or taken away by hand since the last migration run.';
