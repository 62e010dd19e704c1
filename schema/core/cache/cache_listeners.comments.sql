COMMENT ON TABLE entasis_internal.cache_listeners IS
'Sessions of caches that listen, or have listened: see has_cache_listeners().';
COMMENT ON COLUMN entasis_internal.cache_listeners.backend IS
'Process id of the backend.';
COMMENT ON COLUMN entasis_internal.cache_listeners.login IS
'OID of the role that has logged in.';
COMMENT ON COLUMN entasis_internal.cache_listeners.since IS
'When it began to listen; UTC.';
