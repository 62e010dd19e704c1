-- TimescaleDB refuses two refreshes of an aggregate at once, and one that starts a moment later finds the
-- list of changes empty and returns before the first has materialized them. So refreshes of ours run one
-- after the other. It is a lease, because a refresh commits. A call that failed has left it to its session, which is
-- in no transaction then; between two transactions of a refresh there is a moment without one too, so that it is
-- looked at more than once. maintain() explains why every name is qualified.
CREATE OR REPLACE PROCEDURE entasis_internal.acquire_refresh_lock()
LANGUAGE plpgsql
AS $$
DECLARE
    patience_ends CONSTANT pg_catalog.timestamptz := pg_catalog.clock_timestamp()
        OPERATOR(pg_catalog.+) interval '1 hour';
    holder pg_catalog.text;
    idle_since pg_catalog.timestamptz;
    found_since pg_catalog.timestamptz;
    seen integer := 0;
BEGIN
    LOOP
        holder := entasis_internal.take_lease('refresh');
        COMMIT;
        EXIT WHEN holder IS NULL;
        IF pg_catalog.clock_timestamp() OPERATOR(pg_catalog.>) patience_ends THEN
            RAISE EXCEPTION 'candles have been refreshed for an hour by %', holder
            USING ERRCODE = 'lock_not_available',
                HINT = 'Wait for it to end, or end it with pg_terminate_backend(), and refresh again.';
        END IF;
        found_since := entasis_internal.end_idle_lease(
            'refresh', CASE WHEN seen OPERATOR(pg_catalog.>=) 3 THEN idle_since END
        );
        seen := CASE
            WHEN found_since OPERATOR(pg_catalog.=) idle_since THEN seen OPERATOR(pg_catalog.+) 1
            ELSE 0
        END;
        idle_since := found_since;
        COMMIT;
        PERFORM pg_catalog.pg_sleep(0.05);
    END LOOP;
END
$$;

COMMENT ON PROCEDURE entasis_internal.acquire_refresh_lock IS
'Waits, for an hour at most, until no other session is in entasis.refresh_candles() or rebuild_candles(), and keeps others out.';
