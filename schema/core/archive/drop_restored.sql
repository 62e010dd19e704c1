CREATE OR REPLACE FUNCTION entasis.drop_restored(table_name name) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    DELETE FROM entasis.restores AS r WHERE r.table_name = drop_restored.table_name
        AND r.attached_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION '% is not a table that was restored beside its relation', table_name
        USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'SELECT * FROM entasis.restores lists them; what is attached goes by entasis.maintain().';
    END IF;
    EXECUTE format('DROP TABLE IF EXISTS entasis.%I', table_name);
END
$$;

COMMENT ON FUNCTION entasis.drop_restored IS
'Drops a table that holds a restored range and is not attached to its relation.';
