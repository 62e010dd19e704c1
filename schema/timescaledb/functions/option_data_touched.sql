CREATE OR REPLACE FUNCTION entasis_internal.option_data_touched() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF tg_op = 'UPDATE' THEN
        PERFORM entasis_internal.refuse_below_floor('option_data', min(o.timestamp))
        FROM old_quotes AS o;
    END IF;
    PERFORM entasis_internal.refuse_below_floor('option_data', min(n.timestamp))
    FROM new_quotes AS n;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION entasis_internal.option_data_touched() IS
'Trigger of option_data: refuses what a statement wrote below the floor.';
