CREATE OR REPLACE FUNCTION entasis.end_run(
    run bigint, run_outcome text, run_detail jsonb DEFAULT '{}'
) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE entasis.runs AS r SET
        ended_at = greatest(clock_timestamp(), r.started_at),
        outcome = run_outcome,
        detail = r.detail || coalesce(run_detail, '{}')
    WHERE r.id = run AND r.ended_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'run % does not exist, or has ended', run
        USING ERRCODE = 'no_data_found';
    END IF;
END
$$;

COMMENT ON FUNCTION entasis.end_run IS
'Notes in entasis.runs that a run has ended: done or failed, and what it did (an object, with error if it failed).';
