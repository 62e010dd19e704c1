-- A refresh deletes the candles of its range and inserts those that it computes from their source. Below
-- the floor the source has been dropped, and the candle would be lost for good. This trigger prevents it
-- for every refresh, a forced one by a superuser included. It adds nothing there either: a transaction
-- with an old snapshot may not see the floor yet. Retention drops whole chunks of candles, which fires no
-- trigger. Above the floor, it keeps the candles of what was dropped by hand.
CREATE OR REPLACE FUNCTION entasis_internal.protect_candle_below_floor() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    candle record := CASE tg_op WHEN 'DELETE' THEN old ELSE new END;
    is_below boolean;
BEGIN
    SELECT candle.bucket < f.floor INTO is_below
    FROM entasis.floors AS f
    WHERE f.relation = tg_argv[0]
        AND (
            -- all its trades are stored, or are about to be
            candle.bucket < f.floor AND NOT EXISTS (
                SELECT FROM entasis.reopened AS r
                WHERE r.relation = 'market_data'
                    AND (r.symbol IS NULL OR (r.symbol = candle.symbol AND r.exchange = candle.exchange))
                    AND r.from_time <= candle.bucket AND r.to_time > candle.bucket
            )
            OR candle.bucket >= f.floor AND EXISTS (
                SELECT FROM entasis_internal.lost_ranges AS l
                WHERE l.relation = tg_argv[0] AND l.ranges @> candle.bucket
            )
        );
    IF NOT FOUND THEN
        RETURN candle;
    END IF;
    IF is_below OR tg_op = 'DELETE' THEN
        RETURN NULL;
    END IF;
    IF entasis_internal.protect_lost_candle(tg_relid, candle) THEN
        RETURN NULL;
    END IF;
    RETURN candle;
END
$$;

COMMENT ON FUNCTION entasis_internal.protect_candle_below_floor IS
'Trigger of candles: skips the deletion or insertion of a candle that starts below the floor of the relation that it is computed from, which is the argument, unless its market was reopened there. In a range of lost_ranges a candle is not deleted, and only replaced by one that may count all of its trades.';
