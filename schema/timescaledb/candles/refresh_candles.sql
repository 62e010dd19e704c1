-- refresh_levels() explains why only the owner can; for others the job does it. maintain() explains why every
-- name is qualified.
CREATE OR REPLACE PROCEDURE entasis.refresh_candles(
    from_time timestamptz, to_time timestamptz
)
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM entasis_internal.check_range_bounds(from_time, to_time);
    IF NOT pg_catalog.pg_has_role('entasis_owner', 'USAGE') THEN
        CALL entasis_internal.await_refresh();
        RETURN;
    END IF;
    CALL entasis_internal.refresh_levels(from_time, to_time, 'changed');
END
$$;

COMMENT ON PROCEDURE entasis.refresh_candles IS
'Brings the candles of the UTC days that overlap [from_time, to_time) up to date with all trades committed before the call. Refreshes only what has changed, nothing below the floor, and commits after each step, so it cannot run inside a transaction block. A caller without the rights of entasis_owner waits for the refresh job, which runs every minute.';
