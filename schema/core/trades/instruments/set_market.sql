-- jsonb_populate_record() reads each value as its column's type, and a time without a zone as UTC, so that no statement is put together from text.
CREATE OR REPLACE FUNCTION entasis.set_market(
    symbol_name text, exchange_name text, settings jsonb
) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    known CONSTANT text[] := ARRAY[
        'kind', 'base', 'quote', 'settlement', 'contract_size', 'tick_size', 'lot_size', 'expiry',
        'volume_unit', 'is_active', 'usual_gap', 'ids_dense'
    ];
    name text;
    is_new boolean;
    market entasis.markets;
BEGIN
    SELECT s.key INTO name FROM jsonb_each(settings) AS s WHERE s.key <> ALL (known) LIMIT 1;
    IF FOUND THEN
        RAISE undefined_column USING
            MESSAGE = format('a market has no %I that can be set', name),
            HINT = 'What can be set: ' || array_to_string(known, ', ');
    END IF;
    INSERT INTO entasis.markets (symbol, exchange) VALUES (symbol_name, exchange_name)
    ON CONFLICT (symbol, exchange) DO NOTHING;
    is_new := FOUND;
    SELECT m.* INTO market FROM entasis.markets AS m
    WHERE m.symbol = symbol_name AND m.exchange = exchange_name
    FOR UPDATE;
    market := jsonb_populate_record(market, settings);
    UPDATE entasis.markets AS m SET
        kind = market.kind,
        base = market.base,
        quote = market.quote,
        settlement = market.settlement,
        contract_size = market.contract_size,
        tick_size = market.tick_size,
        lot_size = market.lot_size,
        expiry = market.expiry,
        volume_unit = market.volume_unit,
        is_active = market.is_active,
        usual_gap = market.usual_gap,
        ids_dense = market.ids_dense,
        set_by_hand = ARRAY(
            SELECT k.name FROM unnest(known) WITH ORDINALITY AS k (name, nth)
            WHERE coalesce(settings -> k.name <> 'null', k.name = ANY (m.set_by_hand))
            ORDER BY k.nth
        )
    WHERE m.symbol = symbol_name AND m.exchange = exchange_name;
    RETURN is_new;
END
$$;

COMMENT ON FUNCTION entasis.set_market IS
'Sets columns of a market in entasis.markets, given as an object, against everything that loaders and lists will say: they are named in set_by_hand. A null empties the column and gives it back to them. Records the market if it is new, and returns whether it was. Raises 42703 for a column that cannot be set, and the column''s own error for a value that it cannot hold.';
