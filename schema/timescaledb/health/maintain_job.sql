CREATE OR REPLACE PROCEDURE entasis_internal.maintain_job(job_id integer, config jsonb)
LANGUAGE plpgsql
AS $$
BEGIN
    CALL entasis.maintain();
END
$$;

COMMENT ON PROCEDURE entasis_internal.maintain_job IS
'Job: entasis.maintain(), every night.';
