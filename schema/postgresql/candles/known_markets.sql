-- A loose index scan on the primary keys, from one market to the next; DISTINCT would read every trade.
CREATE OR REPLACE FUNCTION entasis_internal.known_markets()
RETURNS TABLE (symbol varchar, exchange varchar)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH RECURSIVE markets AS (
        SELECT
            '' COLLATE "C" AS symbol,
            '' COLLATE "C" AS exchange
        UNION ALL
        SELECT
            n.symbol,
            n.exchange
        FROM markets AS m
        CROSS JOIN LATERAL (
            SELECT
                r.symbol::text AS symbol,
                r.exchange::text AS exchange
            FROM (
                SELECT
                    d.symbol,
                    d.exchange
                FROM entasis.market_data AS d
                UNION ALL
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
            WHERE (r.symbol, r.exchange) > (m.symbol, m.exchange)
            ORDER BY r.symbol, r.exchange
            LIMIT 1
        ) AS n
    )

    SELECT
        k.symbol,
        k.exchange
    FROM markets AS k
    WHERE k.symbol <> '';
END;

COMMENT ON FUNCTION entasis_internal.known_markets IS
'Every market that has a trade or a stored candle, in the order of symbol and exchange.';
