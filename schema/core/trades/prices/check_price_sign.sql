CREATE OR REPLACE FUNCTION entasis_internal.check_price_sign(
    symbol_name text, exchange_name text, price numeric
) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF price <= 0 AND NOT entasis_internal.has_signed_prices(symbol_name, exchange_name) THEN
        RAISE check_violation USING
            MESSAGE = format(
                'the price %s of %s %s is not above 0, and its market is no combo or spread',
                price, exchange_name, symbol_name
            ),
            HINT = 'If it is one, say so first: SELECT entasis.set_market(symbol, exchange, ''{"kind": "combo"}'').',
            TABLE = 'market_data', SCHEMA = 'entasis', CONSTRAINT = 'market_data_price_sign';
    END IF;
END
$$;

COMMENT ON FUNCTION entasis_internal.check_price_sign IS
'Raises check_violation (market_data_price_sign) for a price of 0 or below in a market that is no combo or spread.';
