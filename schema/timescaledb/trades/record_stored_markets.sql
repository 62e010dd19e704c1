-- The candles of a day are few, and those that are not materialized yet are computed from the newest trades.
CREATE OR REPLACE FUNCTION entasis_internal.record_stored_markets() RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    INSERT INTO entasis.markets AS m (
        symbol, exchange, source,
        kind, base, quote, settlement, contract_size, expiry, volume_unit
    )
    SELECT
        o.symbol,
        o.exchange,
        'sql' AS source,
        i.kind,
        i.base,
        i.quote,
        i.settlement,
        i.contract_size,
        i.expiry,
        i.volume_unit
    FROM (
        SELECT DISTINCT
            c.symbol,
            c.exchange
        FROM entasis.ohlcv_1d AS c
    ) AS o
    CROSS JOIN LATERAL entasis_internal.known_instrument(o.symbol, o.exchange) AS i
    ORDER BY o.symbol, o.exchange
    -- a list may have told of it before
    ON CONFLICT (symbol, exchange) DO UPDATE SET source = 'sql' WHERE m.source IS NULL;
END;

COMMENT ON FUNCTION entasis_internal.record_stored_markets IS
'Records in entasis.markets the markets whose trades were written by plain SQL, which no trigger sees here.';
