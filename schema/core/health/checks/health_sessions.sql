CREATE OR REPLACE FUNCTION entasis_internal.health_sessions() RETURNS TABLE (
    check_name text, subject text, value numeric, since timestamptz
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
    sees_all CONSTANT boolean := pg_has_role('pg_read_all_stats', 'USAGE');
BEGIN
    IF NOT sees_all THEN
        RETURN QUERY
        SELECT u, NULL::text, NULL::numeric, NULL::timestamptz
        FROM unnest(ARRAY['idle_in_transaction', 'transaction_age', 'blocked']) AS u;
    ELSE
        RETURN QUERY
        WITH RECURSIVE waiting AS MATERIALIZED (
            SELECT l.pid, min(l.waitstart) AS since, pg_blocking_pids(l.pid) AS behind
            FROM pg_locks AS l
            WHERE NOT l.granted
            GROUP BY l.pid
        ),

        queue AS (
            SELECT w.pid, b.pid AS behind
            FROM waiting AS w CROSS JOIN LATERAL unnest(w.behind) AS b (pid)
            UNION
            SELECT q.pid, b.pid
            FROM queue AS q
            INNER JOIN waiting AS w ON q.behind = w.pid
            CROSS JOIN LATERAL unnest(w.behind) AS b (pid)
        ),

        -- who waits for nobody; 0 is a prepared transaction
        heads AS (
            SELECT q.pid, min(q.behind) AS head FROM queue AS q
            WHERE NOT EXISTS (SELECT FROM waiting AS w WHERE w.pid = q.behind)
            GROUP BY q.pid
        )

        SELECT
            w.check_name,
            format('process %s of %s%s%s', a.pid, coalesce(a.usename, a.backend_type),
                ' (' || nullif(a.application_name, '') || ')',
                CASE
                    WHEN w.check_name <> 'blocked' OR b.head IS NULL THEN ''
                    WHEN b.head = 0 THEN ', behind a prepared transaction'
                    ELSE ', behind ' || b.head || coalesce(' of ' || h.usename, '')
                END),
            round(extract(EPOCH FROM clock_timestamp() - w.since), 1),
            w.since
        FROM pg_stat_activity AS a
        LEFT OUTER JOIN waiting AS l ON a.pid = l.pid
        LEFT OUTER JOIN heads AS b ON a.pid = b.pid
        LEFT OUTER JOIN pg_stat_activity AS h ON b.head = h.pid
        CROSS JOIN LATERAL (VALUES
            ('idle_in_transaction',
                CASE WHEN a.state LIKE 'idle in transaction%' THEN a.state_change END),
            ('transaction_age', a.xact_start),
            ('blocked', l.since)
        ) AS w (check_name, since)
        WHERE
            a.pid <> pg_backend_pid() AND w.since IS NOT NULL
            AND (w.check_name = 'blocked' OR a.backend_type IN ('client backend', 'background worker'));
    END IF;

    RETURN QUERY
    SELECT
        'prepared_age', p.gid, round(extract(EPOCH FROM clock_timestamp() - p.prepared), 1), p.prepared
    FROM pg_prepared_xacts AS p
    UNION ALL
    -- of who sees no kinds, a server's own workers are counted, too
    SELECT
        'connections', NULL,
        round(100.0 * count(*) FILTER (WHERE a.backend_type = 'client backend' OR NOT sees_all) / (
            current_setting('max_connections')::int
            - current_setting('superuser_reserved_connections')::int
            - coalesce(current_setting('reserved_connections', true)::int, 0)
        ), 1),
        NULL
    FROM pg_stat_activity AS a WHERE a.datid IS NOT NULL
    UNION ALL
    -- of a limit of one or two, all in use are no surprise
    SELECT 'connections', l.whose, round(100.0 * l.in_use / l.allowed, 1), NULL
    FROM (
        SELECT 'database ' || d.datname AS whose, d.datconnlimit AS allowed, s.numbackends AS in_use
        FROM pg_database AS d
        INNER JOIN pg_stat_database AS s ON d.oid = s.datid
        UNION ALL
        SELECT 'login ' || r.rolname, r.rolconnlimit,
            (SELECT count(*) FROM pg_stat_activity AS a WHERE a.usesysid = r.oid)
        FROM pg_roles AS r
        WHERE r.rolconnlimit >= 5
    ) AS l
    WHERE l.allowed >= 5;
END
$$;

COMMENT ON FUNCTION entasis_internal.health_sessions IS
'For entasis.health: sessions that wait or keep others waiting, and how many connections are left. Unknown to who is no member of pg_read_all_stats: what others do.';
