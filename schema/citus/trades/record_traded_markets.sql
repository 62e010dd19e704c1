-- Loaders have recorded theirs before: then this is one look at a small table for each market of a batch. Which is why names
-- are looked at here: two regular expressions a row took a tenth of COPY's time. What is on record has passed the CHECKs of
-- entasis.markets.
CREATE OR REPLACE FUNCTION entasis_internal.record_traded_markets(candles entasis.ohlcv_1m[])
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    market record;
    broken text;
BEGIN
    FOR market IN EXECUTE format(
        $sql$
        SELECT DISTINCT
            c.symbol,
            c.exchange,
            entasis_internal.name_fault('symbol', c.symbol) AS symbol_fault,
            entasis_internal.name_fault('exchange', c.exchange) AS exchange_fault
        FROM unnest($1) AS c
        WHERE NOT EXISTS (
            SELECT FROM %s AS m
            WHERE m.symbol = c.symbol AND m.exchange = c.exchange
        )
        ORDER BY c.symbol, c.exchange
        $sql$,
        entasis_internal.shard_of('entasis.markets', candles[1].symbol)
    ) USING candles
    LOOP
        broken := CASE
            WHEN market.symbol_fault IS NOT NULL THEN 'market_data_symbol_is_name'
            WHEN market.exchange_fault IS NOT NULL THEN 'market_data_exchange_is_name'
        END;
        IF broken IS NOT NULL THEN
            RAISE check_violation USING
                MESSAGE = format('new row for relation "market_data" violates check "%s"', broken),
                DETAIL = coalesce(market.symbol_fault, market.exchange_fault),
                SCHEMA = 'entasis', TABLE = 'market_data', CONSTRAINT = broken;
        END IF;
        PERFORM entasis_internal.record_traded_market(market.symbol, market.exchange);
    END LOOP;
END
$$;

COMMENT ON FUNCTION entasis_internal.record_traded_markets IS
'Records in entasis.markets the markets of these candles, all of one shard, that are not on record. Only the keys of the argument are used. Raises 23514 for a symbol or an exchange that is no name, as a CHECK of market_data would.';
