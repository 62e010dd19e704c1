CREATE OR REPLACE FUNCTION entasis.record_id_space(
    symbol_name text, exchange_name text, id_space text, source_name text,
    time_unit text DEFAULT NULL
) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    market entasis.markets;
    numbering record;
    known record;
BEGIN
    SELECT m.* INTO market FROM entasis.markets AS m
    WHERE m.symbol = symbol_name AND m.exchange = exchange_name;
    IF market.id_space IS NULL THEN
        SELECT k.* INTO numbering
        FROM entasis_internal.known_id_order(exchange_name, record_id_space.id_space) AS k;
        SELECT i.* INTO known FROM entasis_internal.known_instrument(symbol_name, exchange_name) AS i;
        INSERT INTO entasis.markets AS m (
            symbol, exchange, id_space, source, ids_rise, ids_dense, time_units,
            kind, base, quote, settlement, contract_size, expiry, volume_unit
        )
        VALUES (
            symbol_name, exchange_name, record_id_space.id_space, source_name,
            numbering.ids_rise, numbering.ids_dense, array_remove(ARRAY[time_unit], NULL),
            known.kind, known.base, known.quote, known.settlement, known.contract_size, known.expiry,
            known.volume_unit
        )
        -- a person, an exchange's list or plain SQL was first
        ON CONFLICT (symbol, exchange) DO UPDATE
            SET id_space = excluded.id_space,
                source = coalesce(m.source, excluded.source),
                ids_rise = coalesce(excluded.ids_rise, m.ids_rise),
                ids_dense = coalesce(m.ids_dense, excluded.ids_dense),
                kind = coalesce(m.kind, excluded.kind),
                base = coalesce(m.base, excluded.base),
                quote = coalesce(m.quote, excluded.quote),
                settlement = coalesce(m.settlement, excluded.settlement),
                contract_size = coalesce(m.contract_size, excluded.contract_size),
                expiry = coalesce(m.expiry, excluded.expiry),
                volume_unit = coalesce(m.volume_unit, excluded.volume_unit)
            WHERE m.id_space IS NULL;
        -- another session may have been first, with another id space
        SELECT m.* INTO market FROM entasis.markets AS m
        WHERE m.symbol = symbol_name AND m.exchange = exchange_name;
    END IF;
    IF time_unit IS NOT NULL AND time_unit <> ALL (market.time_units)
        AND market.id_space = record_id_space.id_space
    THEN
        UPDATE entasis.markets AS m SET time_units = array_append(m.time_units, time_unit)
        WHERE m.symbol = symbol_name AND m.exchange = exchange_name
            AND time_unit <> ALL (m.time_units);
    END IF;
    RETURN market.id_space;
END
$$;

COMMENT ON FUNCTION entasis.record_id_space IS
'Records the id space of a market when it is first loaded, and returns the recorded one: callers refuse trades of any other. time_unit is the unit in which the source states times (s, ms, us), and joins those of the market; NULL: it does not say. NULL returned: another session has just recorded one that this snapshot does not show; try again.';
