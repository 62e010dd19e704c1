-- SECURITY DEFINER, because writers have no right on the function that it calls.
CREATE OR REPLACE FUNCTION entasis_internal.refuse_price_sign() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- a WHEN of the trigger would make it depend on all that its table is used by
    IF new.price <= 0 THEN
        PERFORM entasis_internal.check_price_sign(new.symbol, new.exchange, new.price);
    END IF;
    RETURN new;
END
$$;

COMMENT ON FUNCTION entasis_internal.refuse_price_sign IS
'Row trigger of market_data, for prices of 0 or below: refuses them but for combos and spreads.';
