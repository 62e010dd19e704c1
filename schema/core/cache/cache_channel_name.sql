CREATE OR REPLACE FUNCTION entasis_internal.cache_channel_name() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT c.name FROM entasis_internal.cache_channel AS c;
END;

COMMENT ON FUNCTION entasis_internal.cache_channel_name IS
'The channel on which caches are notified. NULL: no cache has listened since the database was copied without its rows.';
