-- A refresh computes every candle of its range anew: it deletes them all, and puts back those that
-- have a source. Below the floor of its source a candle has none, and would be gone for ever. This
-- holds whoever refreshes and however, a forced full refresh by a superuser included. Nor is anything
-- added there: a transaction with an old snapshot may not know the floor yet. Chunks of candles are
-- dropped whole when their time has come, which fires no trigger.
CREATE OR REPLACE FUNCTION entasis_internal.protect_candle_below_floor() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    candle record := CASE tg_op WHEN 'DELETE' THEN old ELSE new END;
BEGIN
    PERFORM FROM entasis.floors AS f
    WHERE f.relation = tg_argv[0] AND candle.bucket < f.floor;
    IF FOUND THEN
        RETURN NULL;
    END IF;
    RETURN candle;
END
$$;

COMMENT ON FUNCTION entasis_internal.protect_candle_below_floor IS
'Trigger of candles: nothing deletes or adds one that begins below the floor of the relation that it is computed from, the argument.';
