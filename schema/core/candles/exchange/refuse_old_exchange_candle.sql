CREATE OR REPLACE FUNCTION entasis_internal.refuse_old_exchange_candle(
    bucket timestamptz, lowest timestamptz
) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
BEGIN
    RAISE check_violation USING
        MESSAGE = format(
            'exchange_candles is past its keep period: it was dropped up to %s, and this statement touches %s',
            lowest, bucket
        ),
        HINT = 'entasis restore exchange_candles brings archived months back, to be read.';
END
$$;

COMMENT ON FUNCTION entasis_internal.refuse_old_exchange_candle IS
'Raises check_violation: a candle whose bucket lies below the floor (lowest) cannot be written.';
