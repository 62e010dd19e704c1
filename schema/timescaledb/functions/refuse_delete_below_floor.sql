-- A row trigger, unlike those of INSERT and UPDATE: a hypertable with a columnstore takes no DELETE
-- trigger with a transition table. On a chunk, tg_table_name is the chunk's: the relation is an argument.
CREATE OR REPLACE FUNCTION entasis_internal.refuse_delete_below_floor() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM entasis_internal.refuse_below_floor(tg_argv[0], old.timestamp);
    RETURN old;
END
$$;

COMMENT ON FUNCTION entasis_internal.refuse_delete_below_floor() IS
'Trigger of raw relations: refuses to delete a row below the floor of the relation that is its argument.';
