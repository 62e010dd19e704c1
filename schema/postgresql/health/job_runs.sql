-- pg_cron runs in one database of a cluster, which need not be this one: its jobs are the DBA's.
CREATE OR REPLACE FUNCTION entasis_internal.job_runs()
RETURNS TABLE (
    job text,
    run_every interval,
    scheduled boolean,
    last_started_at timestamptz,
    last_succeeded_at timestamptz,
    last_failed_at timestamptz,
    last_error text,
    failing boolean
)
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT
        NULL::text,
        NULL::interval,
        NULL::boolean,
        NULL::timestamptz,
        NULL::timestamptz,
        NULL::timestamptz,
        NULL::text,
        NULL::boolean
    WHERE FALSE;
END;

COMMENT ON FUNCTION entasis_internal.job_runs IS
'No rows: this engine''s jobs are run by a scheduler outside the database.';
