-- Two advisory locks. A listener holds the second one, shared, for as long as it listens; a writer
-- tries whether it can have it alone, and lets it go at once. But a writer that has looked may commit
-- long after: so it holds the first one, shared, to the end of its transaction, and a new listener
-- waits until it has had that one alone for a moment. Either the writer tells, or the listener begins
-- when the writer has committed. No writer ever waits.
--
-- Telling only when somebody listens, because it is not free: PostgreSQL commits transactions that
-- notify one after the other.
CREATE OR REPLACE FUNCTION entasis_internal.has_cache_listeners() RETURNS boolean
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    -- the same numbers stand in entasis_db/cache/listener.py
    SELECT
        NOT pg_try_advisory_xact_lock_shared(1163154259, 0)
        OR CASE
            WHEN pg_try_advisory_lock(1163154259, 1)
                THEN NOT pg_advisory_unlock(1163154259, 1)
            ELSE true
        END;
END;

COMMENT ON FUNCTION entasis_internal.has_cache_listeners IS
'Whether a cache may be listening on channel entasis_cache. False is certain: whoever begins to listen now, waits for the end of this transaction.';
