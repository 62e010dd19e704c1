-- Where a chunk was dropped by hand, a late row makes a new one, and a refresh computes the candles of its time
-- from what that holds: one trade instead of a hundred. A candle that counts fewer trades, or does not reach as
-- far, cannot count all of those of the stored one, which stays. Another takes its place by UPDATE, for which
-- protect_candle_below_floor() is not fired. TimescaleDB chooses the name of the table.
CREATE OR REPLACE FUNCTION entasis_internal.protect_lost_candle(
    candles regclass, candle record
) RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    stored record;
BEGIN
    EXECUTE format(
        'SELECT * FROM %s AS c WHERE c.symbol = $1 AND c.exchange = $2 AND c.bucket = $3', candles
    )
    INTO stored
    USING candle.symbol, candle.exchange, candle.bucket;
    IF stored IS NULL THEN
        RETURN false;
    END IF;
    IF candle.trades >= stored.trades AND candle.volume >= stored.volume
        AND candle.high >= stored.high AND candle.low <= stored.low
        AND candle.opened_at <= stored.opened_at AND candle.closed_at >= stored.closed_at
    THEN
        EXECUTE format(
            'UPDATE %s AS c
            SET (open, high, low, close, volume, quote_volume, trades, opened_at, first_trade_id,
                closed_at, last_trade_id)
            = ($4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
            WHERE c.symbol = $1 AND c.exchange = $2 AND c.bucket = $3', candles
        )
        USING candle.symbol, candle.exchange, candle.bucket, candle.open, candle.high, candle.low,
            candle.close, candle.volume, candle.quote_volume, candle.trades, candle.opened_at,
            candle.first_trade_id, candle.closed_at, candle.last_trade_id;
    END IF;
    RETURN true;
END
$$;

COMMENT ON FUNCTION entasis_internal.protect_lost_candle IS
'Puts a candle that is being inserted in the place of the stored one of its bucket, if it may count all of its trades. True: there is one, and nothing is left to insert.';
