-- It commits after each step, so that it holds no lock for longer than a step takes. A procedure that
-- commits can neither be SECURITY DEFINER nor have settings: every name in it is qualified, and what needs
-- the owner's rights is in the functions that it calls.
CREATE OR REPLACE PROCEDURE entasis.maintain(run bigint DEFAULT NULL)
LANGUAGE plpgsql
AS $$
DECLARE
    own_run bigint := coalesce(maintain.run, entasis.begin_run('maintain'));
    logged_before bigint;
BEGIN
    SELECT pg_catalog.max(m.id) INTO logged_before FROM entasis.maintenance_log AS m;
    -- the log of runs keeps it, whatever happens
    COMMIT;
    PERFORM entasis_internal.record_partitions();
    PERFORM entasis_internal.record_sizes();
    PERFORM entasis_internal.record_stored_markets();
    COMMIT;
    CALL entasis_internal.drop_expired();
    CALL entasis_internal.delete_expired_rows();
    IF maintain.run IS NULL THEN
        PERFORM entasis.end_run(own_run, 'done', entasis_internal.log_since(logged_before));
        COMMIT;
    END IF;
END
$$;

COMMENT ON PROCEDURE entasis.maintain IS
'Daily maintenance: records markets that were written by plain SQL, and drops chunks past their keep period, after their candles were refreshed and checked. Commits after each step, so it cannot run inside a transaction block. Safe to repeat. Called by a job of TimescaleDB''s scheduler. run is one that the caller has begun in entasis.runs, and ends; NULL: it is noted here.';
