-- The session has to LISTEN and then to wait: see has_cache_listeners().
CREATE OR REPLACE FUNCTION entasis_internal.cache_listen() RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- there is none in a copy that was made without rows
    INSERT INTO entasis_internal.cache_channel DEFAULT VALUES ON CONFLICT DO NOTHING;
    DELETE FROM entasis_internal.cache_listeners AS l
    WHERE NOT entasis_internal.is_session_there(l.backend, l.login, l.since);
    INSERT INTO entasis_internal.cache_listeners AS l (backend, login, since)
    SELECT pg_backend_pid(), r.oid, clock_timestamp() FROM pg_roles AS r
    WHERE r.rolname = session_user
    ON CONFLICT ON CONSTRAINT cache_listeners_pkey DO UPDATE
        SET login = excluded.login, since = excluded.since;
END
$$;

COMMENT ON FUNCTION entasis_internal.cache_listen IS
'Notes that this session listens for a cache, until it ends. From the end of the transaction on, writers that begin to write notify.';
