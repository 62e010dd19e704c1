CREATE OR REPLACE FUNCTION entasis_internal.trade_counts(
    symbol_name text, exchange_name text, from_day timestamptz
) RETURNS TABLE (candle text, trades bigint)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
BEGIN ATOMIC
    SELECT
        '1m ' || c.bucket AS candle,
        c.trades
    FROM entasis.ohlcv_1m AS c
    WHERE
        c.symbol = symbol_name AND c.exchange = exchange_name
        AND c.bucket >= from_day AND c.bucket < from_day + interval '24 hours'
    UNION ALL
    SELECT
        '1h ' || c.bucket AS candle,
        c.trades
    FROM entasis.ohlcv_1h AS c
    WHERE
        c.symbol = symbol_name AND c.exchange = exchange_name
        AND c.bucket >= from_day AND c.bucket < from_day + interval '24 hours'
    UNION ALL
    SELECT
        '1d ' || c.bucket AS candle,
        c.trades
    FROM entasis.ohlcv_1d AS c
    WHERE
        c.symbol = symbol_name AND c.exchange = exchange_name
        AND c.bucket >= from_day AND c.bucket < from_day + interval '24 hours';
END;

COMMENT ON FUNCTION entasis_internal.trade_counts IS
'How many trades each stored candle of a market counts that starts within 24 hours from from_day. candle names its interval and bucket.';
