CREATE OR REPLACE FUNCTION entasis_internal.refuse_rollback() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'migrations of Entasis DB are not rolled back'
    USING ERRCODE = 'object_not_in_prerequisite_state',
        HINT = 'Taking one back would drop data. Fix forward with a new migration, or restore a backup.';
END
$$;

COMMENT ON FUNCTION entasis_internal.refuse_rollback IS
'Trigger of yoyo''s ledger: an applied migration stays applied, whichever tool is asked.';
