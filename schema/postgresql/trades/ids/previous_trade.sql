-- Looking back in the key for a market that is silent would pass all trades of its symbol on other exchanges. So the minute
-- of from_time is searched, and then the last minute in which the market has a candle, or a trade that no candle counts.
-- Without settings, so that it is inlined into the caller's query.
CREATE OR REPLACE FUNCTION entasis_internal.previous_trade(
    symbol_name text, exchange_name text, from_time timestamptz, from_id bigint
) RETURNS TABLE (traded_at timestamptz, id bigint)
LANGUAGE sql STABLE ROWS 1
BEGIN ATOMIC
    WITH near AS (
        -- the minute of the last counted trade, and that of the last one that no candle counts
        SELECT max(k.minute) AS minute
        FROM (
            (
                SELECT c.bucket AS minute
                FROM entasis.ohlcv_1m AS c
                WHERE
                    c.symbol = previous_trade.symbol_name
                    AND c.exchange = previous_trade.exchange_name
                    AND c.bucket < date_bin(
                        '1 minute', previous_trade.from_time, '2000-01-01 00:00:00+00'
                    )
                ORDER BY c.bucket DESC
                LIMIT 1
            )
            UNION ALL
            (
                SELECT date_bin('1 minute', d.timestamp, '2000-01-01 00:00:00+00') AS minute
                FROM entasis.market_data AS d
                WHERE
                    d.symbol = previous_trade.symbol_name
                    AND d.exchange = previous_trade.exchange_name
                    AND d.excluded IS NOT NULL
                    AND d.timestamp < date_bin(
                        '1 minute', previous_trade.from_time, '2000-01-01 00:00:00+00'
                    )
                ORDER BY d.timestamp DESC
                LIMIT 1
            )
        ) AS k
    )

    SELECT
        t.traded_at,
        t.id
    FROM (
        (
            SELECT
                d.timestamp AS traded_at,
                d.id
            FROM entasis.market_data AS d
            WHERE
                d.symbol = previous_trade.symbol_name
                AND d.exchange = previous_trade.exchange_name
                AND d.timestamp <= previous_trade.from_time
                AND d.timestamp >= date_bin(
                    '1 minute', previous_trade.from_time, '2000-01-01 00:00:00+00'
                )
                AND (d.timestamp, d.id) < (previous_trade.from_time, previous_trade.from_id)
            ORDER BY d.timestamp DESC, d.id DESC
            LIMIT 1
        )
        UNION ALL
        (
            SELECT
                d.timestamp AS traded_at,
                d.id
            FROM near AS n
            CROSS JOIN LATERAL (
                SELECT
                    m.timestamp,
                    m.id
                FROM entasis.market_data AS m
                WHERE
                    m.symbol = previous_trade.symbol_name
                    AND m.exchange = previous_trade.exchange_name
                    AND m.timestamp >= n.minute
                    AND m.timestamp < n.minute + interval '1 minute'
                ORDER BY m.timestamp DESC, m.id DESC
                LIMIT 1
            ) AS d
        )
        UNION ALL
        -- below the floor, candles do not know all trades
        (
            SELECT
                d.timestamp AS traded_at,
                d.id
            FROM entasis.market_data AS d
            WHERE
                d.symbol = previous_trade.symbol_name
                AND d.exchange = previous_trade.exchange_name
                AND d.timestamp <= previous_trade.from_time
                AND d.timestamp < (SELECT entasis_internal.trades_kept_from() + interval '1 minute')
                AND (d.timestamp, d.id) < (previous_trade.from_time, previous_trade.from_id)
            ORDER BY d.timestamp DESC, d.id DESC
            LIMIT 1
        )
    ) AS t
    ORDER BY t.traded_at DESC, t.id DESC
    LIMIT 1;
END;

COMMENT ON FUNCTION entasis_internal.previous_trade IS
'The trade of a market with the largest (timestamp, id) below (from_time, from_id), whether candles count it or not. No row: there is none.';
