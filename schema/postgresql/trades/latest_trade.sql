-- The key begins with symbol and timestamp: looking backwards for a market that has been silent for weeks would pass
-- all trades of its symbol on other exchanges. The newest candle says where to begin. At or above the floor each
-- counted trade is in one, so that without a candle only trades below it are left. If the candle's trade is missing,
-- the scan goes on to older ones. Without settings, so that it is inlined into the caller's query.
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
        AND d.timestamp <= coalesce(
            (
                SELECT c.closed_at
                FROM entasis.ohlcv_1m AS c
                WHERE
                    c.symbol = latest_trade.symbol_name
                    AND c.exchange = latest_trade.exchange_name
                    AND c.bucket >= (SELECT entasis_internal.trades_kept_from())
                ORDER BY c.bucket DESC
                LIMIT 1
            ),
            -- the floor may lie inside a minute
            (SELECT entasis_internal.trades_kept_from() + interval '1 minute')
        )
    ORDER BY d.timestamp DESC, d.id DESC
    LIMIT 1;
END;

COMMENT ON FUNCTION entasis_internal.latest_trade IS
'The newest trade of a market that candles count, by (timestamp, id). No row: none is stored.';
