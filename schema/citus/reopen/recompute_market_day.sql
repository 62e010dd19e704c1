-- On the node that has the symbol: see shard_functions.sql.
CREATE OR REPLACE FUNCTION entasis_internal.recompute_market_day(
    symbol_name text, exchange_name text, from_day timestamptz
) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    touched CONSTANT entasis.ohlcv_1m[]
        := entasis_internal.minutes_of_day(symbol_name, exchange_name, from_day);
BEGIN
    IF touched IS NOT NULL THEN
        PERFORM entasis_internal.recompute_candles(touched);
    END IF;
END
$$;

COMMENT ON FUNCTION entasis_internal.recompute_market_day IS
'Recomputes all candles of one market within 24 hours from from_day from its stored trades. It asks for no floor: reopen_market_day() does.';
