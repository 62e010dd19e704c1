-- The candles of a day are few, and those that are not materialized yet are computed from the newest trades.
CREATE OR REPLACE FUNCTION entasis_internal.record_stored_markets() RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    INSERT INTO entasis.markets (symbol, exchange, source)
    SELECT DISTINCT
        o.symbol,
        o.exchange,
        'sql' AS source
    FROM entasis.ohlcv_1d AS o
    ORDER BY 1, 2
    ON CONFLICT (symbol, exchange) DO NOTHING;
END;

COMMENT ON FUNCTION entasis_internal.record_stored_markets IS
'Records in entasis.markets the markets whose trades were written by plain SQL, which no trigger sees here.';
