-- By the key: candles do not know of late trades before the next refresh. Without settings, so that it is inlined.
CREATE OR REPLACE FUNCTION entasis_internal.next_trade(
    symbol_name text, exchange_name text, from_time timestamptz, from_id bigint
) RETURNS TABLE (traded_at timestamptz, id bigint)
LANGUAGE sql STABLE ROWS 1
BEGIN ATOMIC
    SELECT
        d.timestamp AS traded_at,
        d.id
    FROM entasis.market_data AS d
    WHERE
        d.symbol = next_trade.symbol_name
        AND d.exchange = next_trade.exchange_name
        AND d.timestamp >= next_trade.from_time
        AND (d.timestamp, d.id) > (next_trade.from_time, next_trade.from_id)
    ORDER BY d.timestamp ASC, d.id ASC
    LIMIT 1;
END;

COMMENT ON FUNCTION entasis_internal.next_trade IS
'The trade of a market with the smallest (timestamp, id) above (from_time, from_id), whether candles count it or not. No row: there is none.';
