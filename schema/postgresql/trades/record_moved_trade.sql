-- SECURITY DEFINER, because writers have no rights on moved_trades.
CREATE OR REPLACE FUNCTION entasis_internal.record_moved_trade() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO entasis_internal.moved_trades (symbol, exchange, timestamp)
    VALUES (old.symbol, old.exchange, old.timestamp), (new.symbol, new.exchange, new.timestamp)
    ON CONFLICT DO NOTHING;
    RETURN new;
END
$$;

COMMENT ON FUNCTION entasis_internal.record_moved_trade IS
'Trigger of market_data: records the old and new market and time of a trade that UPDATE or MERGE moves.';
