-- It commits after each step, so that it holds no lock for longer than a step takes. A procedure that
-- commits can neither be SECURITY DEFINER nor have settings: every name in it is qualified, and what needs
-- the owner's rights is in the functions that it calls.
CREATE OR REPLACE PROCEDURE entasis.maintain()
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM entasis_internal.record_partitions();
    PERFORM entasis_internal.record_sizes();
    PERFORM entasis_internal.record_stored_markets();
    COMMIT;
    CALL entasis_internal.drop_expired();
    CALL entasis_internal.delete_expired_rows();
END
$$;

COMMENT ON PROCEDURE entasis.maintain IS
'Daily maintenance: records markets that were written by plain SQL, and drops chunks past their keep period, after their candles were refreshed and checked. Commits after each step, so it cannot run inside a transaction block. Safe to repeat. Called by a job of TimescaleDB''s scheduler.';
