CREATE OR REPLACE FUNCTION entasis.record_id_space(
    of_symbol text, on_exchange text, wanted_id_space text, named_source text
) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    recorded text;
BEGIN
    SELECT m.id_space INTO recorded FROM entasis.markets AS m
    WHERE m.symbol = of_symbol AND m.exchange = on_exchange;
    IF recorded IS NULL THEN
        INSERT INTO entasis.markets (symbol, exchange, id_space, source)
        VALUES (of_symbol, on_exchange, wanted_id_space, named_source)
        ON CONFLICT (symbol, exchange) DO NOTHING;
        -- another session may have been first, with another id space
        SELECT m.id_space INTO recorded FROM entasis.markets AS m
        WHERE m.symbol = of_symbol AND m.exchange = on_exchange;
    END IF;
    RETURN recorded;
END
$$;

COMMENT ON FUNCTION entasis.record_id_space(text, text, text, text) IS
'Records how the trades of a market are numbered when it is first loaded, and returns what is on record: callers refuse trades of any other id space. NULL when another session records one at this moment under an older snapshot: try again.';
