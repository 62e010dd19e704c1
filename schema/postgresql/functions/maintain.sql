-- It commits after each step, so that it holds no lock for longer than one step takes. A procedure
-- that commits can neither be SECURITY DEFINER nor have settings of its own: every name in it is
-- qualified, and what needs the owner's rights is in the functions that it calls.
CREATE OR REPLACE PROCEDURE entasis.maintain()
LANGUAGE plpgsql
AS $$
DECLARE
    made integer;
    expired record;
    kept_relation record;
    attempt integer;
    dropped boolean;
BEGIN
    made := entasis_internal.make_partitions_ahead();
    PERFORM entasis_internal.note_partitions();
    COMMIT;
    IF made OPERATOR(pg_catalog.>) 0 THEN
        RAISE NOTICE 'made % partitions ahead', made;
    END IF;

    FOR expired IN
        SELECT e.relation, e.partition_name, e.from_time, e.to_time
        FROM entasis_internal.expired_partitions() AS e
    LOOP
        dropped := false;
        FOR attempt IN 1..5 LOOP
            BEGIN
                -- asked anew: trades that went in this run release their candles
                PERFORM FROM entasis_internal.expired_partitions() AS e
                WHERE e.relation OPERATOR(pg_catalog.=) expired.relation
                    AND e.partition_name OPERATOR(pg_catalog.=) expired.partition_name
                    AND e.kept_because IS NULL;
                IF FOUND THEN
                    PERFORM entasis_internal.drop_partition(
                        expired.relation, expired.partition_name
                    );
                    dropped := true;
                END IF;
                EXIT;
            EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
                RAISE NOTICE '% is in use; attempt % of 5', expired.partition_name, attempt;
            WHEN integrity_constraint_violation THEN
                RAISE NOTICE '%', SQLERRM;
                PERFORM entasis_internal.mark_stale(
                    expired.relation, expired.from_time, expired.to_time
                );
                EXIT;
            WHEN undefined_table OR object_not_in_prerequisite_state THEN
                RAISE NOTICE '% was dropped by another session', expired.partition_name;
                EXIT;
            END;
            COMMIT;
            PERFORM pg_catalog.pg_sleep(1);
        END LOOP;
        COMMIT;
        IF dropped THEN
            RAISE NOTICE 'dropped %', expired.partition_name;
        END IF;
    END LOOP;

    FOR expired IN
        SELECT e.partition_name, e.kept_because FROM entasis_internal.expired_partitions() AS e
    LOOP
        RAISE NOTICE '% is past its keep period and stays: %', expired.partition_name,
            coalesce(expired.kept_because, 'it was in use; the next run tries again');
    END LOOP;

    FOR kept_relation IN SELECT k.relation FROM entasis.keep_periods AS k LOOP
        PERFORM entasis_internal.analyze_partitioned(kept_relation.relation);
        COMMIT;
    END LOOP;
END
$$;

COMMENT ON PROCEDURE entasis.maintain () IS
'What has to happen daily: partitions ahead, dropping what is past its keep period, statistics of partitioned relations. Commits as it goes, so it cannot run inside a transaction block. Repeating it does no harm.';
