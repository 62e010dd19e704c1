CREATE OR REPLACE FUNCTION entasis_internal.make_stored_trades() RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET client_min_messages = 'warning'
AS $$
BEGIN
    CREATE TEMPORARY TABLE IF NOT EXISTS entasis_stored_trades (LIKE entasis.market_data)
    ON COMMIT DROP;
    DELETE FROM pg_temp.entasis_stored_trades;
END
$$;

COMMENT ON FUNCTION entasis_internal.make_stored_trades IS
'Creates the transaction''s empty table pg_temp.entasis_stored_trades, for copies of stored trades.';
