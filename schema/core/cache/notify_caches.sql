CREATE OR REPLACE FUNCTION entasis_internal.notify_caches(message jsonb) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT pg_notify('entasis_cache', message::text);
END;

COMMENT ON FUNCTION entasis_internal.notify_caches IS
'Notifies channel entasis_cache, at commit, of what changed. Keys of the object: trades, an array of [symbol, exchange, first minute, last minute], the minutes in seconds since 1970; options, an array of underlyings; everything, true.';
