-- By the key: candles do not know of late trades before the next refresh. Without settings, so that it is inlined.
CREATE OR REPLACE FUNCTION entasis_internal.previous_trade(
    symbol_name text, exchange_name text, from_time timestamptz, from_id bigint
) RETURNS TABLE (traded_at timestamptz, id bigint)
LANGUAGE sql STABLE ROWS 1
BEGIN ATOMIC
    SELECT
        d.timestamp AS traded_at,
        d.id
    FROM entasis.market_data AS d
    WHERE
        d.symbol = previous_trade.symbol_name
        AND d.exchange = previous_trade.exchange_name
        AND d.timestamp <= previous_trade.from_time
        AND (d.timestamp, d.id) < (previous_trade.from_time, previous_trade.from_id)
    ORDER BY d.timestamp DESC, d.id DESC
    LIMIT 1;
END;

COMMENT ON FUNCTION entasis_internal.previous_trade IS
'The trade of a market with the largest (timestamp, id) below (from_time, from_id), whether candles count it or not. No row: there is none.';
