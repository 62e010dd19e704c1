-- maintain() explains why every name is qualified.
CREATE OR REPLACE PROCEDURE entasis_internal.compress_job(job_id integer, config jsonb)
LANGUAGE plpgsql
AS $$
DECLARE
    chunk pg_catalog.record;
    run bigint := entasis.begin_run('compress');
    logged_before bigint;
    compress_after interval := config OPERATOR(pg_catalog.->>) 'compress_after';
BEGIN
    SELECT pg_catalog.max(m.id) INTO logged_before FROM entasis.maintenance_log AS m;
    -- the log of runs keeps it, whatever happens
    COMMIT;
    IF compress_after IS NULL THEN
        RAISE EXCEPTION 'job % has no compress_after in its config', job_id
        USING ERRCODE = 'invalid_parameter_value',
            HINT = 'SELECT alter_job(job_id, config => ''{"compress_after": "7 days"}'')';
    END IF;
    FOR chunk IN SELECT * FROM entasis_internal.chunks_to_compress(compress_after) LOOP
        BEGIN
            PERFORM public.compress_chunk(chunk.partition_oid::pg_catalog.regclass);
            INSERT INTO entasis.maintenance_log (action, relation, detail)
            VALUES ('compress', chunk.relation, chunk.partition_name);
        -- the latter two: another session has just dropped or compressed it
        EXCEPTION WHEN lock_not_available OR deadlock_detected OR undefined_table
            OR duplicate_object
        THEN
            RAISE NOTICE '% is in use; the next run tries again', chunk.partition_name;
        END;
        COMMIT;
    END LOOP;
    PERFORM entasis.end_run(run, 'done', entasis_internal.log_since(logged_before));
    COMMIT;
END
$$;

COMMENT ON PROCEDURE entasis_internal.compress_job IS
'Job: compresses chunks that ended longer ago than config.compress_after into the columnstore, and rows that were written to a compressed chunk since. Commits after each chunk.';
