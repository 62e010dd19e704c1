-- The row triggers that follow test the number in their WHEN clause, which is all that they cost while no
-- cache is listening. It bounds how many notifications one statement queues.
CREATE OR REPLACE FUNCTION entasis_internal.start_row_notifications() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM setval(
        'entasis_internal.row_notifications_left',
        CASE WHEN entasis_internal.has_cache_listeners() THEN 50000 ELSE 0 END
    );
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION entasis_internal.start_row_notifications IS
'Trigger before a statement: sets row_notifications_left to the number of its rows that are notified one by one, 0 if no cache is listening. If the statement changes more, caches are flushed.';
