-- Loaders have recorded theirs before: then this is one look at a small table for each market of a batch.
CREATE OR REPLACE FUNCTION entasis_internal.record_traded_markets(candles entasis.ohlcv_1m[])
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM entasis_internal.record_traded_market(n.symbol, n.exchange)
    FROM (
        SELECT DISTINCT c.symbol, c.exchange
        FROM unnest(candles) AS c
        WHERE NOT EXISTS (
            SELECT FROM entasis.markets AS m
            WHERE m.symbol = c.symbol AND m.exchange = c.exchange
        )
        ORDER BY c.symbol, c.exchange
    ) AS n;
END
$$;

COMMENT ON FUNCTION entasis_internal.record_traded_markets IS
'Records in entasis.markets the markets of these candles that are not on record. Only the keys of the argument are used.';
