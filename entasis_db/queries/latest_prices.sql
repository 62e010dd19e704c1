-- The newest trade of every market that candles count. DISTINCT ON would read every trade to find a few markets; this
-- jumps from one market to the next on the key's index, and then to the newest trade of each.
WITH RECURSIVE known_markets AS (
    (
        SELECT
            m.symbol,
            m.exchange
        FROM entasis.market_data AS m
        ORDER BY m.symbol, m.exchange
        LIMIT 1
    )
    UNION ALL
    SELECT
        n.symbol,
        n.exchange
    FROM known_markets AS k
    CROSS JOIN LATERAL (
        SELECT
            m.symbol,
            m.exchange
        FROM entasis.market_data AS m
        WHERE (m.symbol, m.exchange) > (k.symbol, k.exchange)
        ORDER BY m.symbol, m.exchange
        LIMIT 1
    ) AS n
)

SELECT
    t.id,
    k.symbol,
    k.exchange,
    t.timestamp,
    t.price,
    t.volume,
    t.side,
    t.source_id,
    t.excluded
FROM known_markets AS k
CROSS JOIN
    LATERAL (
        SELECT
            m.id,
            m.timestamp,
            m.price,
            m.volume,
            m.side,
            m.source_id,
            m.excluded
        FROM entasis.market_data AS m
        WHERE
            m.symbol = k.symbol
            AND m.exchange = k.exchange
            AND m.excluded IS NULL
        ORDER BY m.timestamp DESC, m.id DESC
        LIMIT 1
    ) AS t
ORDER BY k.symbol, k.exchange;
