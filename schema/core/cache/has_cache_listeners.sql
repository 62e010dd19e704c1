-- Two advisory locks. A listener holds lock 1, shared, as long as it listens; a writer tests for it by
-- trying to take it exclusively, and releases it at once. Since the writer may commit long after this
-- test, it also holds lock 0, shared, to the end of its transaction, and a new listener begins only after
-- it has held lock 0 exclusively for a moment. So either the writer notifies, or the listener begins
-- after the writer has committed. Writers never wait.
--
-- Without a listener nothing is notified, because PostgreSQL commits notifying transactions one after the
-- other.
CREATE OR REPLACE FUNCTION entasis_internal.has_cache_listeners() RETURNS boolean
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    -- the same numbers as in entasis_db/cache/listener.py
    SELECT
        NOT pg_try_advisory_xact_lock_shared(1163154259, 0)
        OR CASE
            WHEN pg_try_advisory_lock(1163154259, 1)
                THEN NOT pg_advisory_unlock(1163154259, 1)
            ELSE true
        END;
END;

COMMENT ON FUNCTION entasis_internal.has_cache_listeners IS
'Whether a cache may be listening on channel entasis_cache. False is certain: a cache that begins to listen now waits for the end of this transaction.';
