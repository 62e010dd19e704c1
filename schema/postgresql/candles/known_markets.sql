-- Candles are read by jumps on their primary keys from one market to the next, trades from end to end: what went past
-- the triggers is on no record, and a rebuild reads them all anyway.
CREATE OR REPLACE FUNCTION entasis_internal.known_markets(
    from_time timestamptz, to_time timestamptz
)
RETURNS TABLE (symbol varchar, exchange varchar)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH RECURSIVE with_candles AS (
        SELECT
            '' COLLATE "C" AS symbol,
            '' COLLATE "C" AS exchange
        UNION ALL
        SELECT
            n.symbol,
            n.exchange
        FROM with_candles AS w
        CROSS JOIN LATERAL (
            SELECT
                r.symbol::text AS symbol,
                r.exchange::text AS exchange
            FROM (
                SELECT
                    c.symbol,
                    c.exchange
                FROM entasis.ohlcv_1m AS c
                UNION ALL
                SELECT
                    c.symbol,
                    c.exchange
                FROM entasis.ohlcv_1h AS c
                UNION ALL
                SELECT
                    c.symbol,
                    c.exchange
                FROM entasis.ohlcv_1d AS c
            ) AS r
            WHERE (r.symbol, r.exchange) > (w.symbol, w.exchange)
            ORDER BY r.symbol, r.exchange
            LIMIT 1
        ) AS n
    )

    SELECT
        k.symbol,
        k.exchange
    FROM (
        SELECT
            w.symbol,
            w.exchange
        FROM with_candles AS w
        WHERE w.symbol <> ''
        UNION
        SELECT
            m.symbol,
            m.exchange
        FROM entasis.markets AS m
        UNION
        SELECT
            d.symbol,
            d.exchange
        FROM entasis.market_data AS d
        WHERE d.timestamp >= known_markets.from_time AND d.timestamp < known_markets.to_time
    ) AS k
    ORDER BY k.symbol, k.exchange;
END;

COMMENT ON FUNCTION entasis_internal.known_markets IS
'Every market that is on record or has a stored candle, or a trade in [from_time, to_time), in the order of symbol and exchange.';
