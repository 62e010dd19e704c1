CREATE OR REPLACE FUNCTION entasis_internal.notify_row_change(message jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    remaining bigint := currval('entasis_internal.row_notifications_left') - 1;
BEGIN
    IF remaining > 0 THEN
        -- PostgreSQL sends equal notifications of a transaction once
        PERFORM entasis_internal.notify_caches(message);
    ELSE
        PERFORM entasis.flush_caches();
    END IF;
    PERFORM setval('entasis_internal.row_notifications_left', remaining);
END
$$;

COMMENT ON FUNCTION entasis_internal.notify_row_change IS
'Notifies caches of one changed row, after start_row_notifications(); flushes them when the statement has used up its notifications.';
