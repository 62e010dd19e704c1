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
        coalesce(j.proc_name::text, w.job),
        j.schedule_interval,
        coalesce(j.scheduled, false),
        nullif(s.last_run_started_at, '-infinity'),
        nullif(s.last_successful_finish, '-infinity'),
        e.finish_time,
        CASE
            WHEN d.is_late THEN 'the scheduler has not started it, which was due at ' || d.due_at
            ELSE e.err_message || coalesce(' (SQLSTATE ' || e.sqlerrcode || ')', '')
        END,
        d.is_late OR s.last_run_status IS NOT DISTINCT FROM 'Failed'
    FROM (SELECT * FROM timescaledb_information.jobs WHERE proc_schema = 'entasis_internal') AS j
    FULL OUTER JOIN unnest(ARRAY['refresh_job', 'compress_job', 'maintain_job']) AS w (job)
        ON j.proc_name = w.job
    LEFT OUTER JOIN timescaledb_information.job_stats AS s ON j.job_id = s.job_id
    LEFT OUTER JOIN LATERAL (
        SELECT r.finish_time, r.err_message, r.sqlerrcode
        FROM timescaledb_information.job_errors AS r
        WHERE r.job_id = j.job_id
        ORDER BY r.finish_time DESC NULLS LAST
        LIMIT 1
    ) AS e ON true
    CROSS JOIN LATERAL (
        -- -infinity while it runs, and after a crash
        SELECT coalesce(
            nullif(s.next_start, '-infinity'),
            nullif(s.last_run_started_at, '-infinity') + j.schedule_interval,
            j.initial_start,
            (SELECT i.installed_at FROM entasis.installation AS i)
        ) AS due_at
    ) AS n
    CROSS JOIN LATERAL (
        SELECT
            n.due_at,
            coalesce(
                j.scheduled AND NOT pg_is_in_recovery()
                AND n.due_at < clock_timestamp() - interval '1 hour',
                false
            ) AS is_late
    ) AS d
$$;

COMMENT ON FUNCTION entasis_internal.job_runs IS
'The jobs that TimescaleDB''s scheduler runs for Entasis DB, and how their last runs ended; one that is gone has no run_every, and one that is an hour late is failing.';

REVOKE ALL ON FUNCTION entasis_internal.job_runs FROM public;
GRANT EXECUTE ON FUNCTION entasis_internal.job_runs TO entasis_owner WITH GRANT OPTION;

SET LOCAL ROLE entasis_owner;
