-- The newest trade of every market that candles count. The markets are those on record: DISTINCT would read every
-- trade to find a few.
SELECT
    t.id,
    t.symbol,
    t.exchange,
    t.timestamp,
    t.price,
    t.volume,
    t.side,
    t.source_id,
    t.excluded
FROM entasis.latest_prices() AS t
ORDER BY t.symbol, t.exchange;
