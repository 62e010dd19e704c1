-- The start of another login's session is hidden from most: then the process id and the login have to do, and a row
-- that a session has left may be taken for another's until that one ends.
SET LOCAL ROLE entasis_owner;
CREATE OR REPLACE FUNCTION entasis_internal.is_session_there(
    backend integer, login oid, since timestamptz
)
RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN is_session_there.backend = pg_backend_pid() OR EXISTS (
        SELECT FROM pg_stat_get_activity(is_session_there.backend) AS a
        INNER JOIN pg_database AS d ON a.datid = d.oid
        WHERE
            d.datname = current_database()
            AND a.usesysid = is_session_there.login
            AND (a.backend_start IS NULL OR a.backend_start <= is_session_there.since)
            AND pg_postmaster_start_time() <= is_session_there.since
    );
END
$$;

COMMENT ON FUNCTION entasis_internal.is_session_there IS
'Whether the session of this database that a row names by its process id, its login and a time at which it was there is still there.';
RESET ROLE;
