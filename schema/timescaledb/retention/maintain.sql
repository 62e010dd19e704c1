-- It commits after each step, so that it holds no lock for longer than one step takes. A procedure
-- that commits can neither be SECURITY DEFINER nor have settings of its own: every name in it is
-- qualified, and what needs the owner's rights is in the functions that it calls.
CREATE OR REPLACE PROCEDURE entasis.maintain()
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM entasis_internal.record_partitions();
    COMMIT;
    CALL entasis_internal.drop_expired();
END
$$;

COMMENT ON PROCEDURE entasis.maintain IS
'What has to happen daily: dropping what is past its keep period, after its candles were brought up to date and compared. Commits as it goes, so it cannot run inside a transaction block. Repeating it does no harm. A job of TimescaleDB''s scheduler calls it.';
