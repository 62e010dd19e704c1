CREATE OR REPLACE FUNCTION entasis_internal.release_refresh_lock() RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT entasis_internal.release_lease('refresh');
END;

COMMENT ON FUNCTION entasis_internal.release_refresh_lock IS
'Ends what acquire_refresh_lock() began.';
