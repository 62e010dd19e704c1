CREATE OR REPLACE FUNCTION entasis_internal.option_data_touched() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    listened boolean := entasis_internal.has_cache_listeners();
BEGIN
    IF tg_op IN ('UPDATE', 'DELETE') THEN
        PERFORM entasis_internal.refuse_below_floor('option_data', min(o.timestamp))
        FROM old_quotes AS o;
        IF listened THEN
            PERFORM entasis_internal.notify_option_changes(array_agg(DISTINCT o.underlying))
            FROM old_quotes AS o;
        END IF;
    END IF;
    IF tg_op IN ('INSERT', 'UPDATE') THEN
        PERFORM entasis_internal.refuse_below_floor('option_data', min(n.timestamp))
        FROM new_quotes AS n;
        IF listened THEN
            PERFORM entasis_internal.notify_option_changes(array_agg(DISTINCT n.underlying))
            FROM new_quotes AS n;
        END IF;
    END IF;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION entasis_internal.option_data_touched IS
'Trigger of option_data: refuses a statement that wrote below the floor, and notifies caches of the underlyings that it changed.';
