-- The candles of a day are few, and those that are not materialized yet are computed from the newest trades.
CREATE OR REPLACE FUNCTION entasis_internal.record_stored_markets() RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT entasis_internal.record_traded_market(o.symbol, o.exchange)
    FROM (
        SELECT DISTINCT
            c.symbol,
            c.exchange
        FROM entasis.ohlcv_1d AS c
        ORDER BY c.symbol, c.exchange
    ) AS o;
END;

COMMENT ON FUNCTION entasis_internal.record_stored_markets IS
'Records in entasis.markets the markets whose trades were written by plain SQL, which no trigger sees here.';
