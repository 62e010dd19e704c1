CREATE OR REPLACE FUNCTION entasis_internal.copy_staged_markets() RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET client_min_messages = 'warning'
AS $$
BEGIN
    CREATE TEMPORARY TABLE IF NOT EXISTS entasis_staged_markets (LIKE entasis.markets)
    ON COMMIT DROP;
    DELETE FROM pg_temp.entasis_staged_markets;
    INSERT INTO pg_temp.entasis_staged_markets
    SELECT m.* FROM entasis.markets AS m
    INNER JOIN (
        SELECT DISTINCT s.symbol, s.exchange FROM pg_temp.entasis_staged_trades AS s
    ) AS s ON m.symbol = s.symbol AND m.exchange = s.exchange;
END
$$;

COMMENT ON FUNCTION entasis_internal.copy_staged_markets IS
'Copies into pg_temp.entasis_staged_markets what is on record of the markets of pg_temp.entasis_staged_trades.';
