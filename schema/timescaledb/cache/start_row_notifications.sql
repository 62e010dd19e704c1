-- Row triggers follow, whose WHEN reads this setting: for as long as nobody listens, that is all that
-- they cost. The number bounds what one statement puts into the queue of notifications.
CREATE OR REPLACE FUNCTION entasis_internal.start_row_notifications() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM set_config(
        'entasis.row_notifications_left',
        CASE WHEN entasis_internal.has_cache_listeners() THEN '50000' ELSE '0' END,
        true
    );
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION entasis_internal.start_row_notifications IS
'Trigger before a statement: sets entasis.row_notifications_left to how many of its rows caches are told of one by one, 0 when there are none; those who have more to hear forget everything.';
