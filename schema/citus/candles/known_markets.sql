CREATE OR REPLACE FUNCTION entasis_internal.known_markets(
    from_time timestamptz, to_time timestamptz
)
RETURNS TABLE (symbol varchar, exchange varchar)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT k.symbol, k.exchange
    FROM (
        SELECT m.symbol, m.exchange FROM entasis.markets AS m
        UNION
        SELECT c.symbol, c.exchange FROM entasis.ohlcv_1m AS c
        UNION
        SELECT c.symbol, c.exchange FROM entasis.ohlcv_1h AS c
        UNION
        SELECT c.symbol, c.exchange FROM entasis.ohlcv_1d AS c
        UNION
        SELECT d.symbol, d.exchange FROM entasis.market_data AS d
        WHERE d.timestamp >= known_markets.from_time AND d.timestamp < known_markets.to_time
    ) AS k
    ORDER BY k.symbol, k.exchange;
END
$$;

COMMENT ON FUNCTION entasis_internal.known_markets IS
'Every market that is on record or has a stored candle, or a trade in [from_time, to_time), in the order of symbol and exchange.';
