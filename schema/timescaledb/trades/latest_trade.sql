-- From the end of the key: a candle does not know of late trades before the next refresh. What the key passes on its
-- way, trades of the same symbol on other exchanges, lies in the newest chunks, because the columnstore keeps each market
-- by itself. Without settings, so that it is inlined into the caller's query.
CREATE OR REPLACE FUNCTION entasis_internal.latest_trade(symbol_name text, exchange_name text)
RETURNS SETOF entasis.market_data
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT
        d.id,
        d.symbol,
        d.exchange,
        d.timestamp,
        d.price,
        d.volume,
        d.created_at,
        d.side,
        d.source_id,
        d.excluded
    FROM entasis.market_data AS d
    WHERE
        d.symbol = latest_trade.symbol_name
        AND d.exchange = latest_trade.exchange_name
        AND d.excluded IS NULL
    ORDER BY d.timestamp DESC, d.id DESC
    LIMIT 1;
END;

COMMENT ON FUNCTION entasis_internal.latest_trade IS
'The newest trade of a market that candles count, by (timestamp, id). No row: none is stored.';
