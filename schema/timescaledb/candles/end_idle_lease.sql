CREATE OR REPLACE FUNCTION entasis_internal.end_idle_lease(
    lease_name text, held_since timestamptz
)
RETURNS timestamptz
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    held entasis_internal.leases;
BEGIN
    SELECT l.* INTO held FROM entasis_internal.leases AS l WHERE l.name = end_idle_lease.lease_name;
    -- everybody sees whether a session is in a transaction, and few what it does
    IF NOT FOUND OR EXISTS (
        SELECT FROM pg_locks AS l WHERE l.locktype = 'virtualxid' AND l.pid = held.backend
    ) THEN
        RETURN NULL;
    END IF;
    DELETE FROM entasis_internal.leases AS l
    WHERE l.name = held.name AND l.since = held.since AND l.since = held_since;
    RETURN held.since;
END
$$;

COMMENT ON FUNCTION entasis_internal.end_idle_lease IS
'If the session that has a lease is in no transaction now, returns when it took it, and ends it if that is the time given. NULL: it is in one, or nobody has the lease.';
