CREATE OR REPLACE FUNCTION entasis_internal.go_on_telling(message jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    remaining integer := current_setting('entasis.telling')::integer - 1;
BEGIN
    IF remaining > 0 THEN
        -- like messages of one transaction are told once
        PERFORM entasis_internal.announce(message);
    ELSE
        PERFORM entasis.flush_caches();
    END IF;
    PERFORM set_config('entasis.telling', remaining::text, true);
END
$$;

COMMENT ON FUNCTION entasis_internal.go_on_telling(jsonb) IS
'Tells caches of one row of a statement for which begin_telling() was called; when there were too many, tells them to forget everything.';
