CREATE OR REPLACE FUNCTION entasis_internal.market_data_touched() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF tg_op = 'UPDATE' THEN
        PERFORM entasis_internal.refuse_below_floor('market_data', min(o.timestamp))
        FROM old_trades AS o;
    END IF;
    PERFORM entasis_internal.refuse_below_floor('market_data', min(n.timestamp))
    FROM new_trades AS n;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION entasis_internal.market_data_touched() IS
'Trigger of market_data: refuses what a statement wrote below the floor.';
