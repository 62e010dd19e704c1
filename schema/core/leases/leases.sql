-- What must outlive a commit, and be one session's alone. Not an advisory lock: any login that can connect may take
-- every one of those. Made before all else, because migrations take one. Unlogged, because no row outlives its session.
SET LOCAL ROLE entasis_owner;
CREATE UNLOGGED TABLE IF NOT EXISTS entasis_internal.leases (
    name text NOT NULL,
    backend integer NOT NULL,
    login oid NOT NULL,
    since timestamptz NOT NULL,
    CONSTRAINT leases_pkey PRIMARY KEY (name)
);
COMMENT ON TABLE entasis_internal.leases IS
'What one session at a time may do: see take_lease().';
COMMENT ON COLUMN entasis_internal.leases.name IS
'What it does: migrate, archive, backup, or refresh (candles of engine timescaledb).';
COMMENT ON COLUMN entasis_internal.leases.backend IS
'Process id of its backend.';
COMMENT ON COLUMN entasis_internal.leases.login IS
'OID of the role that has logged in.';
COMMENT ON COLUMN entasis_internal.leases.since IS
'When it began; UTC. The row of a session that is gone counts for nothing.';
RESET ROLE;
