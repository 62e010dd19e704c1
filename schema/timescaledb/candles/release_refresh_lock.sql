CREATE OR REPLACE FUNCTION entasis_internal.release_refresh_lock() RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- as often as it is held: an earlier call of this session may have failed without releasing it
    WHILE EXISTS (
        SELECT FROM pg_locks AS l
        WHERE
            l.locktype = 'advisory' AND l.pid = pg_backend_pid()
            AND l.classid = 1162757971 AND l.objid = 1
    ) LOOP
        PERFORM pg_advisory_unlock(1162757971, 1);
    END LOOP;
END
$$;

COMMENT ON FUNCTION entasis_internal.release_refresh_lock IS
'Releases the lock of acquire_refresh_lock().';
