-- Unlogged, because no row outlives its session.
CREATE UNLOGGED TABLE IF NOT EXISTS entasis_internal.cache_listeners (
    backend integer NOT NULL,
    login oid NOT NULL,
    since timestamptz NOT NULL,
    CONSTRAINT cache_listeners_pkey PRIMARY KEY (backend)
);
