-- A list is read again when it has changed, so what it says replaces what an earlier one said. Each row is locked
-- before it is looked at, in the order of the key, so that nothing is lost that a person sets meanwhile.
CREATE OR REPLACE FUNCTION entasis.record_instruments(instruments jsonb) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    listed record;
    market entasis.markets;
    changed entasis.markets;
    is_new boolean;
    recorded bigint := 0;
BEGIN
    FOR listed IN
        SELECT DISTINCT ON (1, 2) i.instrument ->> 'symbol' AS symbol,
            i.instrument ->> 'exchange' AS exchange,
            jsonb_strip_nulls(i.instrument) AS says
        FROM jsonb_array_elements(instruments) AS i (instrument)
        ORDER BY 1, 2
    LOOP
        INSERT INTO entasis.markets (symbol, exchange) VALUES (listed.symbol, listed.exchange)
        ON CONFLICT (symbol, exchange) DO NOTHING;
        is_new := FOUND;
        SELECT m.* INTO market FROM entasis.markets AS m
        WHERE m.symbol = listed.symbol AND m.exchange = listed.exchange
        FOR UPDATE;
        changed := jsonb_populate_record(market, listed.says - market.set_by_hand);
        IF (
            changed.kind, changed.base, changed.quote, changed.settlement,
            changed.contract_size, changed.tick_size, changed.lot_size, changed.expiry,
            changed.volume_unit, changed.is_active
        ) IS DISTINCT FROM (
            market.kind, market.base, market.quote, market.settlement,
            market.contract_size, market.tick_size, market.lot_size, market.expiry,
            market.volume_unit, market.is_active
        ) THEN
            UPDATE entasis.markets AS m SET
                kind = changed.kind,
                base = changed.base,
                quote = changed.quote,
                settlement = changed.settlement,
                contract_size = changed.contract_size,
                tick_size = changed.tick_size,
                lot_size = changed.lot_size,
                expiry = changed.expiry,
                volume_unit = changed.volume_unit,
                is_active = changed.is_active
            WHERE m.symbol = listed.symbol AND m.exchange = listed.exchange;
            recorded := recorded + 1;
        ELSIF is_new THEN
            recorded := recorded + 1;
        END IF;
    END LOOP;
    RETURN recorded;
END
$$;

COMMENT ON FUNCTION entasis.record_instruments IS
'Records what an exchange''s list says of its instruments in entasis.markets. instruments is an array of objects: symbol, exchange, and of the columns kind, base, quote, settlement, contract_size, tick_size, lot_size, expiry, volume_unit and is_active those that the list states; what is missing or null stays as it is, and so does what set_market() has set. Returns how many rows are new or changed.';
