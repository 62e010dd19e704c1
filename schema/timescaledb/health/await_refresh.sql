-- See maintain() for why every name in it is qualified.
CREATE OR REPLACE PROCEDURE entasis_internal.await_refresh()
LANGUAGE plpgsql
AS $$
DECLARE
    asked timestamptz := pg_catalog.clock_timestamp();
BEGIN
    LOOP
        IF entasis_internal.last_refresh_started() OPERATOR(pg_catalog.>=) asked THEN
            RETURN;
        END IF;
        IF pg_catalog.clock_timestamp() OPERATOR(pg_catalog.>)
            (asked OPERATOR(pg_catalog.+) interval '3 minutes')
        THEN
            RAISE EXCEPTION 'the job that refreshes candles has not run for three minutes'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                HINT = 'Look at timescaledb_information.job_stats and job_errors, or refresh as a member of entasis_owner.';
        END IF;
        COMMIT;
        PERFORM pg_catalog.pg_sleep(0.5);
    END LOOP;
END
$$;

COMMENT ON PROCEDURE entasis_internal.await_refresh () IS
'Waits until the refresh job has begun and ended a run after this call. Gives up after three minutes.';
