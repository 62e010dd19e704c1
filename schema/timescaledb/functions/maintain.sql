-- It commits after each step, so that it holds no lock for longer than one step takes. A procedure
-- that commits can neither be SECURITY DEFINER nor have settings of its own: every name in it is
-- qualified, and what needs the owner's rights is in the functions that it calls.
CREATE OR REPLACE PROCEDURE entasis.maintain()
LANGUAGE plpgsql
AS $$
DECLARE
    expired record;
    attempt integer;
    dropped boolean;
    lagging boolean;
BEGIN
    PERFORM entasis_internal.note_partitions();
    COMMIT;
    FOR expired IN
        SELECT e.relation, e.partition_name, e.from_time, e.to_time
        FROM entasis_internal.expired_partitions() AS e
    LOOP
        dropped := false;
        FOR attempt IN 1..5 LOOP
            lagging := false;
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
            WHEN SQLSTATE 'EN001' THEN
                lagging := true;
            WHEN SQLSTATE 'EN002' THEN
                -- what it waits for was in use, and the list below says so
                EXIT;
            END;
            COMMIT;
            IF lagging THEN
                -- outside the block above: nothing commits inside one that catches errors
                CALL entasis.refresh_candles(expired.from_time, expired.to_time);
            ELSE
                PERFORM pg_catalog.pg_sleep(1);
            END IF;
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
            coalesce(
                expired.kept_because,
                'it or an older one was in use, or its candles lagged behind; the next run tries again'
            );
    END LOOP;
END
$$;

COMMENT ON PROCEDURE entasis.maintain () IS
'What has to happen daily: dropping what is past its keep period, after its candles were brought up to date and compared. Commits as it goes, so it cannot run inside a transaction block. Repeating it does no harm. A job of TimescaleDB''s scheduler calls it.';
