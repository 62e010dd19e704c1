CREATE OR REPLACE PROCEDURE entasis.refresh_candles(
    from_time timestamptz, to_time timestamptz
)
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM entasis_internal.check_range_bounds(from_time, to_time);
    -- nothing to do: on this engine candles are updated in the writer's transaction
END
$$;

COMMENT ON PROCEDURE entasis.refresh_candles IS
'Brings the candles of [from_time, to_time) up to date with all committed trades. On engine postgresql they always are, and this does nothing.';
