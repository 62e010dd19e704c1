-- SECURITY DEFINER, because writers may not write to entasis.markets.
CREATE OR REPLACE FUNCTION entasis_internal.record_traded_market(
    symbol_name text, exchange_name text
) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    INSERT INTO entasis.markets AS m (
        symbol, exchange, source,
        kind, base, quote, settlement, contract_size, expiry, volume_unit
    )
    SELECT
        symbol_name,
        exchange_name,
        'sql' AS source,
        i.kind,
        i.base,
        i.quote,
        i.settlement,
        i.contract_size,
        i.expiry,
        i.volume_unit
    FROM entasis_internal.known_instrument(symbol_name, exchange_name) AS i
    -- a list may have told of it before
    ON CONFLICT (symbol, exchange) DO UPDATE SET source = 'sql' WHERE m.source IS NULL;
END;

COMMENT ON FUNCTION entasis_internal.record_traded_market IS
'Records a market that plain SQL wrote trades of, with what is documented of its name. One that is on record stays as it is.';
