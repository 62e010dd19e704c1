-- A writer may commit long after this test. So it locks the table of listeners to the end of its transaction before
-- it reads it, and a new listener, once its row is committed, waits for the transactions that hold this lock then:
-- they may have seen no row, whereas whoever locks later sees it. So either the writer notifies, or the listener
-- begins after the writer has committed. Writers never wait. Nobody but the owner can hold the lock.
--
-- Without a listener nothing is notified, because PostgreSQL commits notifying transactions one after the
-- other.
CREATE OR REPLACE FUNCTION entasis_internal.has_cache_listeners() RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- entasis_db/cache/listener.py looks for this lock
    LOCK TABLE entasis_internal.cache_listeners IN ROW SHARE MODE;
    -- in the other levels, what is read may be older than the lock
    RETURN current_setting('transaction_isolation') <> 'read committed' OR EXISTS (
        SELECT FROM entasis_internal.cache_listeners AS l
        WHERE entasis_internal.is_session_there(l.backend, l.login, l.since)
    );
END
$$;

COMMENT ON FUNCTION entasis_internal.has_cache_listeners IS
'Whether a cache may be listening. False is certain: a cache that begins to listen now waits for the end of this transaction.';
