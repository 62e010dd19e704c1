CREATE OR REPLACE FUNCTION entasis_internal.last_refresh_started() RETURNS timestamptz
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT s.last_run_started_at
    FROM timescaledb_information.jobs AS j
    INNER JOIN timescaledb_information.job_stats AS s ON j.job_id = s.job_id
    WHERE
        j.proc_schema = 'entasis_internal' AND j.proc_name = 'refresh_job'
        AND s.last_run_status = 'Success' AND s.last_successful_finish >= s.last_run_started_at
$$;

COMMENT ON FUNCTION entasis_internal.last_refresh_started() IS
'When the refresh job began its last run, if that came to a good end. NULL: it has not run, is running, or has failed.';
