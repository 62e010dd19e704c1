CREATE OR REPLACE FUNCTION entasis_internal.notify_caches(message jsonb) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT pg_notify(c.name, message::text) FROM entasis_internal.cache_channel AS c;
END;

COMMENT ON FUNCTION entasis_internal.notify_caches IS
'Notifies the channel of caches, at commit, of what changed. Keys of the object: trades, an array of [symbol, exchange, first minute, last minute], the minutes in seconds since 1970; options, an array of underlyings; everything, true.';
