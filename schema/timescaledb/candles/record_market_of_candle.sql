CREATE OR REPLACE FUNCTION entasis_internal.record_market_of_candle() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM entasis.markets AS m
        WHERE m.symbol = new.symbol AND m.exchange = new.exchange
    ) THEN
        PERFORM entasis_internal.record_traded_market(new.symbol, new.exchange);
    END IF;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION entasis_internal.record_market_of_candle IS
'Trigger of the days that are stored: records the market of a candle whose trades plain SQL wrote, which no trigger of market_data sees.';
