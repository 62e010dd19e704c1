-- maintain() explains why every name is qualified.
CREATE OR REPLACE PROCEDURE entasis_internal.drop_expired()
LANGUAGE plpgsql
AS $$
DECLARE
    expired pg_catalog.record;
    attempt integer;
    dropped boolean;
    lagging boolean;
BEGIN
    FOR expired IN
        SELECT e.relation, e.partition_name, e.from_time, e.to_time
        FROM entasis_internal.expired_partitions() AS e
    LOOP
        dropped := false;
        FOR attempt IN 1..5 LOOP
            lagging := false;
            BEGIN
                -- checked again: trades that this run dropped no longer keep their candles
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
                PERFORM entasis_internal.mark_archive_stale(
                    expired.relation, expired.from_time, expired.to_time
                );
                EXIT;
            WHEN undefined_table OR object_not_in_prerequisite_state THEN
                RAISE NOTICE '% was dropped by another session', expired.partition_name;
                EXIT;
            WHEN SQLSTATE 'EN001' THEN
                lagging := true;
            WHEN SQLSTATE 'EN002' THEN
                -- the older partition was in use; the notices below say so
                EXIT;
            END;
            COMMIT;
            IF lagging THEN
                -- outside the block above: COMMIT is not possible inside one that catches errors
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

    -- on some engines a reopened range has partitions only where it has rows
    PERFORM entasis_internal.close_ended();
    COMMIT;

    FOR expired IN
        SELECT e.partition_name, e.kept_because FROM entasis_internal.expired_partitions() AS e
    LOOP
        RAISE NOTICE '% is past its keep period and stays: %', expired.partition_name,
            coalesce(
                expired.kept_because,
                'it or an older one was in use, or candles lagged behind; the next run tries again'
            );
    END LOOP;
    FOR expired IN
        SELECT h.relation, h.waiting_for_archive, h.waiting_bytes FROM entasis.lifecycle AS h
        WHERE h.waiting_for_archive OPERATOR(pg_catalog.>) 0
        ORDER BY h.relation
    LOOP
        RAISE NOTICE '%: % partitions of % bytes wait for their archive; run entasis archive, or set archived = false to discard them',
            expired.relation, expired.waiting_for_archive, expired.waiting_bytes;
    END LOOP;
END
$$;

COMMENT ON PROCEDURE entasis_internal.drop_expired IS
'Drops partitions past their keep period, the oldest first, and raises a notice for each that stays, with the reason. A partition that is in use is tried five times. Commits after each partition.';
