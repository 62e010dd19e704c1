-- SECURITY DEFINER, because writers may not write to entasis.markets.
CREATE OR REPLACE FUNCTION entasis_internal.record_traded_market(
    symbol_name text, exchange_name text
) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    known record;
BEGIN
    SELECT i.* INTO known FROM entasis_internal.known_instrument(symbol_name, exchange_name) AS i;
    EXECUTE format(
        $sql$
        INSERT INTO %s AS m (
            symbol, exchange, source,
            kind, base, quote, settlement, contract_size, expiry, volume_unit
        )
        VALUES ($1, $2, 'sql', $3, $4, $5, $6, $7, $8, $9)
        -- a list may have told of it before
        ON CONFLICT (symbol, exchange) DO UPDATE SET source = 'sql' WHERE m.source IS NULL
        $sql$,
        entasis_internal.shard_of('entasis.markets', symbol_name)
    ) USING symbol_name, exchange_name, known.kind, known.base, known.quote, known.settlement,
        known.contract_size, known.expiry, known.volume_unit;
END
$$;

COMMENT ON FUNCTION entasis_internal.record_traded_market IS
'Records a market that plain SQL wrote trades of, with what is documented of its name. One that is on record stays as it is.';
