-- A listener holds all of these locks, shared; a writer tries for one of them, exclusive, and gets it
-- if nobody listens. It then keeps it to the end of its transaction, for which a new listener waits:
-- either the writer tells, or the listener hears of nothing before the writer has committed. Two
-- writers rarely meet on one lock, and when they do, one of them tells in vain.
--
-- Telling is not free: PostgreSQL commits transactions that notify one after the other.
CREATE OR REPLACE FUNCTION entasis_internal.is_listened_to() RETURNS boolean
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    -- the same numbers stand in entasis_db/cache/listener.py
    SELECT NOT pg_try_advisory_xact_lock(1163154259, pg_backend_pid() % 16);
END;

COMMENT ON FUNCTION entasis_internal.is_listened_to() IS
'Whether a cache may be listening on channel entasis_cache. False is certain: whoever begins to listen now, waits for the end of this transaction.';
