-- The start of another login's session is hidden from most: then the process id and the login have to do. A row that
-- is taken for alive by mistake makes writers notify for nobody.
CREATE OR REPLACE FUNCTION entasis_internal.is_listening(
    backend integer, login oid, since timestamptz
)
RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN is_listening.backend = pg_backend_pid() OR EXISTS (
        SELECT FROM pg_stat_get_activity(is_listening.backend) AS a
        INNER JOIN pg_database AS d ON a.datid = d.oid
        WHERE
            d.datname = current_database()
            AND a.usesysid = is_listening.login
            AND (a.backend_start IS NULL OR a.backend_start <= is_listening.since)
    );
END
$$;

COMMENT ON FUNCTION entasis_internal.is_listening IS
'Whether the session that a row of cache_listeners names is still there.';
