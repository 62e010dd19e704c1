-- For DELETE only: a hypertable with a columnstore takes no DELETE trigger with a transition table.
CREATE OR REPLACE FUNCTION entasis_internal.notify_quote_change() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM entasis_internal.notify_row_change(
        jsonb_build_object('options', jsonb_build_array(old.underlying))
    );
    RETURN old;
END
$$;

COMMENT ON FUNCTION entasis_internal.notify_quote_change IS
'Trigger of option_data: notifies caches of the underlying of a deleted quote.';
