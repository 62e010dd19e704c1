-- See refresh_levels() for why only the owner can: for others the job does it. See maintain() for why
-- names are qualified.
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
    CALL entasis_internal.refresh_levels(from_time, to_time, false);
END
$$;

COMMENT ON PROCEDURE entasis.refresh_candles IS
'After it, candles of the UTC days that touch [from_time, to_time) show every trade that was committed before it was called. Touches only what has changed, never reaches below the floor, and commits as it goes, so it cannot run inside a transaction block. A caller without the rights of entasis_owner waits until the job has refreshed all, a minute at most.';
