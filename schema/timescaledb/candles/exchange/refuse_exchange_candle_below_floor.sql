-- A row trigger, because a hypertable with a columnstore takes no DELETE trigger with a transition table.
CREATE OR REPLACE FUNCTION entasis_internal.refuse_exchange_candle_below_floor() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    lowest timestamptz;
BEGIN
    SELECT f.floor INTO lowest FROM entasis.floors AS f WHERE f.relation = 'exchange_candles';
    IF old.bucket < lowest THEN
        PERFORM entasis_internal.refuse_old_exchange_candle(old.bucket, lowest);
    END IF;
    RETURN old;
END
$$;

COMMENT ON FUNCTION entasis_internal.refuse_exchange_candle_below_floor IS
'Trigger of exchange_candles: refuses to delete a candle below the floor.';
