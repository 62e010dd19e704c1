CREATE OR REPLACE FUNCTION entasis_internal.refuse_rollback() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'migrations of Entasis DB are not rolled back'
    USING ERRCODE = 'object_not_in_prerequisite_state',
        HINT = 'Rolling one back would drop data. Fix forward with a new migration, or restore a backup.';
END
$$;

COMMENT ON FUNCTION entasis_internal.refuse_rollback IS
'Trigger of yoyo''s ledger: refuses to unmark an applied migration, whichever tool asks for it.';
