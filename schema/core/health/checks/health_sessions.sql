CREATE OR REPLACE FUNCTION entasis_internal.health_sessions() RETURNS TABLE (
    check_name text, subject text, value numeric, since timestamptz
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
BEGIN
    IF NOT pg_has_role('pg_read_all_stats', 'USAGE') THEN
        RETURN QUERY
        SELECT u, NULL::text, NULL::numeric, NULL::timestamptz
        FROM unnest(ARRAY['idle_in_transaction', 'transaction_age', 'blocked']) AS u;
    ELSE
        RETURN QUERY
        SELECT
            w.check_name,
            format('process %s of %s%s', a.pid, a.usename, ' (' || nullif(a.application_name, '') || ')'),
            round(extract(EPOCH FROM clock_timestamp() - w.since), 1),
            w.since
        FROM pg_stat_activity AS a
        CROSS JOIN LATERAL (
            SELECT min(l.waitstart) AS waits_since FROM pg_locks AS l
            WHERE l.pid = a.pid AND NOT l.granted
        ) AS b
        CROSS JOIN LATERAL (VALUES
            ('idle_in_transaction',
                CASE WHEN a.state LIKE 'idle in transaction%' THEN a.state_change END),
            ('transaction_age', a.xact_start),
            ('blocked', b.waits_since)
        ) AS w (check_name, since)
        WHERE
            a.backend_type IN ('client backend', 'background worker')
            AND a.pid <> pg_backend_pid() AND w.since IS NOT NULL;
    END IF;

    RETURN QUERY
    SELECT
        'prepared_age', p.gid, round(extract(EPOCH FROM clock_timestamp() - p.prepared), 1), p.prepared
    FROM pg_prepared_xacts AS p
    UNION ALL
    SELECT
        'connections', NULL,
        round(100.0 * sum(d.numbackends) / (
            current_setting('max_connections')::int
            - current_setting('superuser_reserved_connections')::int
            - coalesce(current_setting('reserved_connections', true)::int, 0)
        ), 1),
        NULL
    FROM pg_stat_database AS d WHERE d.datid <> 0;
END
$$;

COMMENT ON FUNCTION entasis_internal.health_sessions IS
'For entasis.health: sessions that wait or keep others waiting, and how many connections are left. Unknown to who is no member of pg_read_all_stats: what others do.';
