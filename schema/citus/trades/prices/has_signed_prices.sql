-- SECURITY DEFINER, so that writers need no right on what tells instruments by their names. The kind of a
-- market that is new, or was recorded before it was known, is read from its name.
CREATE OR REPLACE FUNCTION entasis_internal.has_signed_prices(symbol_name text, exchange_name text)
RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    recorded text;
BEGIN
    SELECT m.kind INTO recorded FROM entasis.markets AS m
    WHERE m.symbol = symbol_name AND m.exchange = exchange_name;
    RETURN coalesce(
        coalesce(recorded, (entasis_internal.known_instrument(symbol_name, exchange_name)).kind)
        IN ('combo', 'spread'),
        false
    );
END
$$;

COMMENT ON FUNCTION entasis_internal.has_signed_prices IS
'Whether prices of a market may be 0 or below: it trades the difference of several contracts, as kind says in entasis.markets (combo or spread).';
