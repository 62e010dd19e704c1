-- The newest trade of one market that candles count.
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
FROM entasis.latest_price(%(symbol)s::pg_catalog.text, %(exchange)s::pg_catalog.text) AS t;
