-- The newest trade of one market that candles count: the last entry of the key's index in the newest partition that has
-- one. Older partitions are not opened.
SELECT
    m.id,
    m.symbol,
    m.exchange,
    m.timestamp,
    m.price,
    m.volume,
    m.side,
    m.source_id,
    m.excluded
FROM entasis.market_data AS m
WHERE
    m.symbol = %(symbol)s::text
    AND m.exchange = %(exchange)s::text
    AND m.excluded IS NULL
ORDER BY m.timestamp DESC, m.id DESC
LIMIT 1;
