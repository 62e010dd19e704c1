-- The candles of a month that is gone cannot be corrected, and no part of it is opened again.
CREATE OR REPLACE FUNCTION entasis_internal.exchange_candles_touched() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    lowest timestamptz;
    earliest timestamptz;
BEGIN
    SELECT f.floor INTO lowest FROM entasis.floors AS f WHERE f.relation = 'exchange_candles';
    IF tg_op IN ('UPDATE', 'DELETE') THEN
        SELECT min(o.bucket) INTO earliest FROM old_candles AS o;
    END IF;
    IF tg_op IN ('INSERT', 'UPDATE') THEN
        SELECT least(earliest, min(n.bucket)) INTO earliest FROM new_candles AS n;
    END IF;
    IF earliest < lowest THEN
        PERFORM entasis_internal.refuse_old_exchange_candle(earliest, lowest);
    END IF;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION entasis_internal.exchange_candles_touched IS
'Trigger of exchange_candles: refuses a statement that wrote below the floor.';
