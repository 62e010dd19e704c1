-- A refresh deletes the candles of its range and inserts those that it computes from their source. Below
-- the floor the source has been dropped, and the candle would be lost for good. This trigger prevents it
-- for every refresh, a forced one by a superuser included. It adds nothing there either: a transaction
-- with an old snapshot may not see the floor yet. Retention drops whole chunks of candles, which fires no
-- trigger.
CREATE OR REPLACE FUNCTION entasis_internal.protect_candle_below_floor() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    candle record := CASE tg_op WHEN 'DELETE' THEN old ELSE new END;
BEGIN
    PERFORM FROM entasis.floors AS f
    WHERE f.relation = tg_argv[0] AND candle.bucket < f.floor
        -- all its trades are stored, or are about to be
        AND NOT EXISTS (
            SELECT FROM entasis.reopened AS r
            WHERE r.relation = 'market_data'
                AND (r.symbol IS NULL OR (r.symbol = candle.symbol AND r.exchange = candle.exchange))
                AND r.from_time <= candle.bucket AND r.to_time > candle.bucket
        );
    IF FOUND THEN
        RETURN NULL;
    END IF;
    RETURN candle;
END
$$;

COMMENT ON FUNCTION entasis_internal.protect_candle_below_floor IS
'Trigger of candles: skips the deletion or insertion of a candle that starts below the floor of the relation that it is computed from, which is the argument, unless its market was reopened there.';
