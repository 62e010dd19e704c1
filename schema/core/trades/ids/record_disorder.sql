CREATE OR REPLACE FUNCTION entasis_internal.record_disorder(symbol_name text, exchange_name text)
RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    UPDATE entasis.markets AS m SET ids_rise = FALSE
    WHERE m.symbol = symbol_name AND m.exchange = exchange_name AND m.ids_rise IS NULL;
END;

COMMENT ON FUNCTION entasis_internal.record_disorder IS
'Records that ids of a market do not rise with time, unless it is known that they do.';
