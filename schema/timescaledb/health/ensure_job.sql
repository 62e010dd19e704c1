CREATE OR REPLACE FUNCTION entasis_internal.ensure_job(
    procedure_name text,
    schedule_interval interval,
    initial_start timestamptz,
    config jsonb DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM FROM timescaledb_information.jobs AS j
    WHERE j.proc_schema = 'entasis_internal' AND j.proc_name = procedure_name;
    IF NOT FOUND THEN
        PERFORM public.add_job(
            format('entasis_internal.%I', procedure_name)::regproc,
            schedule_interval, config => config, initial_start => initial_start
        );
    END IF;
END
$$;

COMMENT ON FUNCTION entasis_internal.ensure_job IS
'Adds a job that runs a procedure of schema entasis_internal to TimescaleDB''s scheduler, unless there is one: changes that a DBA made with alter_job() stay. Called as entasis_jobs, which then owns the job.';
