-- The trades of one market in [from_time, to_time), in the order in which they were made. Time alone
-- is no order: trades of one timestamp are ordered by id, as open and close of a candle are.
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
    m.symbol OPERATOR(pg_catalog.=) %(symbol)s::pg_catalog.text
    AND m.exchange OPERATOR(pg_catalog.=) %(exchange)s::pg_catalog.text
    AND m.timestamp OPERATOR(pg_catalog.>=) %(from_time)s::pg_catalog.timestamptz
    AND m.timestamp OPERATOR(pg_catalog.<) %(to_time)s::pg_catalog.timestamptz
ORDER BY m.timestamp, m.id
LIMIT %(limit)s;
