-- Without settings, so that it is inlined. The function beneath is each engine's own.
CREATE OR REPLACE FUNCTION entasis.latest_prices()
RETURNS SETOF entasis.market_data
LANGUAGE sql STABLE PARALLEL SAFE ROWS 100
BEGIN ATOMIC
    SELECT t.* FROM entasis_internal.latest_trades() AS t; -- noqa: AM04
END;

COMMENT ON FUNCTION entasis.latest_prices IS
'The newest trade of every market on record that candles count, by (timestamp, id), as rows of market_data; a market of which no trade is stored has no row. It takes a few index look-ups for each market. Ordered only if the query says so.';
