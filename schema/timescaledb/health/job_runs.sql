-- The errors of a job are visible to its owner and to the owner of the database only, so this function
-- belongs to entasis_jobs. entasis_owner grants the right to call it, as for all others.
-- Not a parsed body: see partitions_of().
SET LOCAL ROLE entasis_jobs;

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
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT
        j.proc_name::text,
        j.schedule_interval,
        j.scheduled,
        nullif(s.last_run_started_at, '-infinity'),
        nullif(s.last_successful_finish, '-infinity'),
        e.finish_time,
        e.err_message || coalesce(' (SQLSTATE ' || e.sqlerrcode || ')', ''),
        s.last_run_status IS NOT DISTINCT FROM 'Failed'
    FROM timescaledb_information.jobs AS j
    LEFT OUTER JOIN timescaledb_information.job_stats AS s ON j.job_id = s.job_id
    LEFT OUTER JOIN LATERAL (
        SELECT r.finish_time, r.err_message, r.sqlerrcode
        FROM timescaledb_information.job_errors AS r
        WHERE r.job_id = j.job_id
        ORDER BY r.finish_time DESC NULLS LAST
        LIMIT 1
    ) AS e ON true
    WHERE j.proc_schema = 'entasis_internal'
$$;

COMMENT ON FUNCTION entasis_internal.job_runs IS
'The jobs that TimescaleDB''s scheduler runs for Entasis DB, and how their last runs ended.';

REVOKE ALL ON FUNCTION entasis_internal.job_runs FROM public;
GRANT EXECUTE ON FUNCTION entasis_internal.job_runs TO entasis_owner WITH GRANT OPTION;

SET LOCAL ROLE entasis_owner;
