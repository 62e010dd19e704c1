-- TimescaleDB refuses two refreshes of an aggregate at once, and one that starts a moment later finds the
-- list of changes empty and returns before the first has materialized them. So refreshes of ours run one
-- after the other. The lock is held by the session, because a refresh commits; a lock that a failed call
-- left in a session that is idle now is ignored. An idle holder may also have released it just now, so it is tried
-- for once more then; where nobody holds it any more, the loop tries again. The two numbers are arbitrary.
-- maintain() explains why every name is qualified.
CREATE OR REPLACE PROCEDURE entasis_internal.acquire_refresh_lock()
LANGUAGE plpgsql
AS $$
BEGIN
    WHILE NOT pg_catalog.pg_try_advisory_lock(1162757971, 1) LOOP
        PERFORM FROM pg_catalog.pg_locks AS l
        INNER JOIN pg_catalog.pg_stat_activity AS a
            ON l.pid OPERATOR(pg_catalog.=) a.pid AND l.database OPERATOR(pg_catalog.=) a.datid
        WHERE
            l.locktype OPERATOR(pg_catalog.=) 'advisory'
            AND l.classid OPERATOR(pg_catalog.=) 1162757971::pg_catalog.oid
            AND l.objid OPERATOR(pg_catalog.=) 1::pg_catalog.oid
            AND l.granted
            AND a.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
            AND a.state OPERATOR(pg_catalog.=) 'idle';
        IF FOUND THEN
            PERFORM pg_catalog.pg_try_advisory_lock(1162757971, 1);
            EXIT;
        END IF;
        COMMIT;
        PERFORM pg_catalog.pg_sleep(0.05);
    END LOOP;
END
$$;

COMMENT ON PROCEDURE entasis_internal.acquire_refresh_lock IS
'Waits until no other session is in entasis.refresh_candles() or rebuild_candles(), and locks them.';
