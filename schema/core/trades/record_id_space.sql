CREATE OR REPLACE FUNCTION entasis.record_id_space(
    symbol_name text, exchange_name text, id_space text, source_name text
) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    recorded text;
BEGIN
    SELECT m.id_space INTO recorded FROM entasis.markets AS m
    WHERE m.symbol = symbol_name AND m.exchange = exchange_name;
    IF recorded IS NULL THEN
        INSERT INTO entasis.markets (symbol, exchange, id_space, source)
        VALUES (symbol_name, exchange_name, record_id_space.id_space, source_name)
        ON CONFLICT (symbol, exchange) DO NOTHING;
        -- another session may have been first, with another id space
        SELECT m.id_space INTO recorded FROM entasis.markets AS m
        WHERE m.symbol = symbol_name AND m.exchange = exchange_name;
    END IF;
    RETURN recorded;
END
$$;

COMMENT ON FUNCTION entasis.record_id_space IS
'Records the id space of a market when it is first loaded, and returns the recorded one: callers refuse trades of any other. NULL: another session has just recorded one that this snapshot does not show; try again.';
