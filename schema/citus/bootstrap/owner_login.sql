-- Citus connects to the nodes as the role of the session, which is the owner where a function or a migration is. It has no
-- password: pg_hba.conf or pg_dist_authinfo says how the coordinator may come in as it.
DO $login$
BEGIN
    IF NOT (SELECT r.rolcanlogin FROM pg_catalog.pg_roles AS r WHERE r.rolname = 'entasis_owner') THEN
        ALTER ROLE entasis_owner LOGIN PASSWORD NULL;
    END IF;
END
$login$;
