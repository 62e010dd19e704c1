-- One market after the other, each asked of the node that has it.
CREATE OR REPLACE FUNCTION entasis_internal.latest_trades()
RETURNS SETOF entasis.market_data
LANGUAGE plpgsql STABLE ROWS 100
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    market record;
BEGIN
    FOR market IN
        SELECT m.symbol, m.exchange FROM entasis.markets AS m ORDER BY m.symbol, m.exchange
    LOOP
        RETURN QUERY SELECT t.* FROM entasis_internal.latest_trade(market.symbol, market.exchange) AS t;
    END LOOP;
END
$$;

COMMENT ON FUNCTION entasis_internal.latest_trades IS
'The newest trade of every market that candles count, by (timestamp, id). No row of a market: none is stored.';
