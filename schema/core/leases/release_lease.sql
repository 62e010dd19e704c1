SET LOCAL ROLE entasis_owner;
CREATE OR REPLACE FUNCTION entasis_internal.release_lease(lease_name text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    DELETE FROM entasis_internal.leases AS l
    WHERE l.name = release_lease.lease_name AND l.backend = pg_backend_pid();
END
$$;

COMMENT ON FUNCTION entasis_internal.release_lease IS
'Ends what take_lease() has allowed this session, at the end of the transaction.';
RESET ROLE;
