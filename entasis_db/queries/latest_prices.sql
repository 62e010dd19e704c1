-- The newest trade of every market that candles count. The markets are those on record: DISTINCT would read every
-- trade to find a few, and the key, in which a symbol's trades on all exchanges lie together, shows no market apart.
SELECT
    t.id,
    m.symbol,
    m.exchange,
    t.timestamp,
    t.price,
    t.volume,
    t.side,
    t.source_id,
    t.excluded
FROM entasis.markets AS m
CROSS JOIN LATERAL entasis_internal.latest_trade(m.symbol, m.exchange) AS t
ORDER BY m.symbol, m.exchange;
