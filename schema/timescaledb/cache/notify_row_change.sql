CREATE OR REPLACE FUNCTION entasis_internal.notify_row_change(message jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    remaining integer := current_setting('entasis.row_notifications_left')::integer - 1;
BEGIN
    IF remaining > 0 THEN
        -- like messages of one transaction are told once
        PERFORM entasis_internal.notify_caches(message);
    ELSE
        PERFORM entasis.flush_caches();
    END IF;
    PERFORM set_config('entasis.row_notifications_left', remaining::text, true);
END
$$;

COMMENT ON FUNCTION entasis_internal.notify_row_change IS
'Tells caches of one row of a statement for which start_row_notifications() was called; when there were too many, tells them to forget everything.';
