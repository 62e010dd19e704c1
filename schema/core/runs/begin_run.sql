-- A run commits as it goes, so the row of one that fails without a client to say so stays open. It is closed here: those
-- of sessions that are gone, and those of the same action in this session, which does not begin it within itself.
CREATE OR REPLACE FUNCTION entasis.begin_run(
    action_name text, began timestamptz DEFAULT NULL
) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    run bigint;
BEGIN
    UPDATE entasis.runs AS r SET outcome = 'died'
    WHERE r.outcome IS NULL
        AND NOT entasis_internal.is_session_there(r.backend, r.login, r.started_at);
    UPDATE entasis.runs AS r SET
        outcome = 'failed',
        detail = r.detail || '{"error": "it ended without saying why; the server log does"}'
    WHERE r.outcome IS NULL AND r.action = begin_run.action_name AND r.backend = pg_backend_pid();

    INSERT INTO entasis.runs AS r (action, started_at, login)
    SELECT begin_run.action_name, coalesce(begin_run.began, clock_timestamp()), l.oid
    FROM pg_roles AS l WHERE l.rolname = session_user
    RETURNING r.id INTO run;
    RETURN run;
END
$$;

COMMENT ON FUNCTION entasis.begin_run IS
'Notes in entasis.runs that a run of an action begins, and returns its id for end_run(); commit it before the work, so that it stays whatever happens. began: when it began, NULL for now. Runs whose session is gone are noted as died, and an open one of this session and action as failed.';
