SET LOCAL ROLE entasis_owner;
CREATE OR REPLACE FUNCTION entasis_internal.take_lease(lease_name text) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF lease_name NOT IN ('migrate', 'archive', 'refresh', 'backup') THEN
        RAISE EXCEPTION 'there is no lease %', lease_name USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF lease_name NOT IN ('archive', 'backup') AND NOT pg_has_role(session_user, 'entasis_owner', 'MEMBER') THEN
        RAISE EXCEPTION 'only a member of entasis_owner may take the lease %', lease_name
        USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO entasis_internal.leases AS l (name, backend, login, since)
    SELECT take_lease.lease_name, pg_backend_pid(), r.oid, clock_timestamp()
    FROM pg_roles AS r WHERE r.rolname = session_user
    ON CONFLICT ON CONSTRAINT leases_pkey DO UPDATE
        SET backend = excluded.backend, login = excluded.login, since = excluded.since
        WHERE l.backend = excluded.backend
            OR NOT entasis_internal.is_session_there(l.backend, l.login, l.since);
    IF FOUND THEN
        RETURN NULL;
    END IF;
    RETURN (
        SELECT format('process %s of %s, since %s UTC', l.backend, coalesce(r.rolname, '?'),
            to_char(l.since AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'))
        FROM entasis_internal.leases AS l
        LEFT OUTER JOIN pg_roles AS r ON l.login = r.oid
        WHERE l.name = take_lease.lease_name
    );
END
$$;

COMMENT ON FUNCTION entasis_internal.take_lease IS
'Lets this session alone do something, from the end of the transaction until release_lease() or its own end: archive and backup, for administrators, and migrate and refresh, for members of entasis_owner. NULL: it may; else who does it now, and nothing is changed.';
RESET ROLE;
