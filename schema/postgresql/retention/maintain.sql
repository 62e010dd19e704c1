-- It commits after each step, so that it holds no lock for longer than a step takes. A procedure that
-- commits can neither be SECURITY DEFINER nor have settings: every name in it is qualified, and what needs
-- the owner's rights is in the functions that it calls.
CREATE OR REPLACE PROCEDURE entasis.maintain(run bigint DEFAULT NULL)
LANGUAGE plpgsql
AS $$
DECLARE
    own_run bigint := coalesce(maintain.run, entasis.begin_run('maintain'));
    logged_before bigint;
    made integer := 0;
    kept_relation pg_catalog.record;
BEGIN
    SELECT pg_catalog.max(m.id) INTO logged_before FROM entasis.maintenance_log AS m;
    -- the log of runs keeps it, whatever happens
    COMMIT;
    -- each is locked to the end of its transaction, and so is what it is made of
    FOR years IN 0..10 LOOP
        made := made OPERATOR(pg_catalog.+)
            entasis_internal.make_partitions_ahead(12 OPERATOR(pg_catalog.*) years);
        COMMIT;
    END LOOP;
    PERFORM entasis_internal.record_partitions();
    PERFORM entasis_internal.record_sizes();
    COMMIT;
    IF made OPERATOR(pg_catalog.>) 0 THEN
        RAISE NOTICE 'made % partitions ahead', made;
    END IF;

    CALL entasis_internal.drop_expired();
    CALL entasis_internal.delete_expired_rows();

    FOR kept_relation IN SELECT f.relation FROM entasis.floors AS f LOOP
        PERFORM entasis_internal.analyze_partitioned(kept_relation.relation);
        COMMIT;
    END LOOP;
    IF maintain.run IS NULL THEN
        PERFORM entasis.end_run(own_run, 'done', entasis_internal.log_since(logged_before));
        COMMIT;
    END IF;
END
$$;

COMMENT ON PROCEDURE entasis.maintain IS
'Daily maintenance: creates partitions ahead, drops those past their keep period, and analyzes partitioned relations. Commits after each step, so it cannot run inside a transaction block. Safe to repeat. run is one that the caller has begun in entasis.runs, and ends; NULL: it is noted here.';
