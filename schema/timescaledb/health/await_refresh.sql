-- It waits for candles to be refreshed, not for a run that the scheduler reports as a success: see
-- last_refresh. It gives up after two runs that failed without refreshing, because the next would fail too.
-- maintain() explains why every name is qualified.
CREATE OR REPLACE PROCEDURE entasis_internal.await_refresh()
LANGUAGE plpgsql
AS $$
DECLARE
    asked pg_catalog.timestamptz := pg_catalog.clock_timestamp();
    failed_at pg_catalog.timestamptz := asked;
    failures integer := 0;
    refresh pg_catalog.record;
BEGIN
    LOOP
        PERFORM FROM entasis_internal.last_refresh AS l
        WHERE l.started_at OPERATOR(pg_catalog.>=) asked;
        IF FOUND THEN
            RETURN;
        END IF;
        SELECT r.scheduled, r.failing, r.last_failed_at, r.last_started_at, r.last_error
        INTO refresh
        FROM entasis_internal.job_runs() AS r
        WHERE r.job OPERATOR(pg_catalog.=) 'refresh_job';
        IF NOT FOUND OR NOT refresh.scheduled THEN
            RAISE EXCEPTION 'the job that refreshes candles is missing or paused'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                HINT = 'Start it with alter_job(job_id, scheduled => true), or refresh as a member of entasis_owner.';
        END IF;
        IF refresh.failing AND refresh.last_started_at OPERATOR(pg_catalog.>=) asked
            AND refresh.last_failed_at OPERATOR(pg_catalog.>) failed_at
        THEN
            failed_at := refresh.last_failed_at;
            failures := failures OPERATOR(pg_catalog.+) 1;
        END IF;
        IF failures OPERATOR(pg_catalog.>=) 2 OR pg_catalog.clock_timestamp()
            OPERATOR(pg_catalog.>) (asked OPERATOR(pg_catalog.+) interval '3 minutes')
        THEN
            RAISE EXCEPTION 'the job that refreshes candles has not refreshed them: %',
                coalesce(
                    CASE WHEN refresh.last_failed_at OPERATOR(pg_catalog.>=) asked
                        THEN refresh.last_error END,
                    'it has not run for three minutes'
                )
            USING ERRCODE = 'object_not_in_prerequisite_state',
                HINT = 'SELECT * FROM entasis.jobs shows its last runs. A member of entasis_owner can refresh without it.';
        END IF;
        COMMIT;
        PERFORM pg_catalog.pg_sleep(0.5);
    END LOOP;
END
$$;

COMMENT ON PROCEDURE entasis_internal.await_refresh IS
'Waits until the refresh job has refreshed all candles in a run that began after this call, whatever status the scheduler gave that run. Raises the job''s own error after two runs that failed, or after three minutes.';
