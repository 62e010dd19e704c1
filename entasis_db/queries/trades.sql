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
    m.symbol = %(symbol)s::text
    AND m.exchange = %(exchange)s::text
    AND m.timestamp >= %(from_time)s::timestamptz
    AND m.timestamp < %(to_time)s::timestamptz
ORDER BY m.timestamp, m.id
LIMIT %(limit)s;
