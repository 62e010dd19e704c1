CREATE OR REPLACE FUNCTION entasis_internal.market_data_updated() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM entasis_internal.refuse_below_floor('market_data', min(o.timestamp))
    FROM old_trades AS o;
    PERFORM entasis_internal.refuse_below_floor('market_data', min(n.timestamp))
    FROM new_trades AS n;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION entasis_internal.market_data_updated IS
'Trigger of market_data: refuses a statement that changed trades below the floor, or moved them there.';
