CREATE OR REPLACE FUNCTION entasis_internal.health_runs() RETURNS TABLE (
    check_name text, subject text, value numeric, since timestamptz
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    WITH done AS MATERIALIZED (
        SELECT r.action, max(r.id) AS id, max(r.ended_at) AS ended_at
        FROM entasis.runs AS r
        WHERE r.outcome = 'done'
        GROUP BY r.action
    )

    SELECT 'run_failed', r.action, count(*)::numeric, min(r.started_at)
    FROM entasis.runs AS r
    LEFT OUTER JOIN done AS d ON r.action = d.action
    -- one whose session is gone has died, though nothing has noted it yet; a replica has no sessions of the primary's
    WHERE
        r.id > coalesce(d.id, 0)
        AND (
            r.outcome IN ('failed', 'died')
            OR r.outcome IS NULL
            AND NOT pg_is_in_recovery()
            AND NOT entasis_internal.is_session_there(r.backend, r.login, r.started_at)
        )
    GROUP BY r.action
    UNION ALL
    SELECT
        o.check_name,
        NULL,
        round(extract(EPOCH FROM now() - coalesce(d.ended_at, i.installed_at)) / 3600, 2),
        coalesce(d.ended_at, i.installed_at)
    FROM (VALUES ('maintain_overdue', 'maintain'), ('backup_check_overdue', 'backup check'))
        AS o (check_name, action)
    CROSS JOIN entasis.installation AS i
    LEFT OUTER JOIN done AS d ON o.action = d.action
    UNION ALL
    SELECT
        'job_failed',
        CASE
            WHEN j.run_every IS NULL THEN j.job || ' is gone'
            WHEN NOT j.scheduled THEN j.job || ' is paused'
            ELSE j.job || ': ' || coalesce(j.last_error, '?')
        END,
        1,
        CASE WHEN j.scheduled THEN j.last_succeeded_at END
    FROM entasis_internal.job_runs() AS j
    WHERE j.failing OR NOT j.scheduled;
END
$$;

COMMENT ON FUNCTION entasis_internal.health_runs IS
'For entasis.health: runs that failed, died or never happened, and jobs of the database''s scheduler that fail, do not start, are paused or gone.';
