-- Looking ahead in the key for a market that is silent would pass all trades of its symbol on other exchanges. So the minute
-- of from_time is searched, and then the next minute in which the market has a candle, or a trade that no candle counts.
-- Without settings, so that it is inlined into the caller's query.
CREATE OR REPLACE FUNCTION entasis_internal.next_trade(
    symbol_name text, exchange_name text, from_time timestamptz, from_id bigint
) RETURNS TABLE (traded_at timestamptz, id bigint)
LANGUAGE sql STABLE ROWS 1
BEGIN ATOMIC
    WITH near AS (
        -- the minute of the next counted trade, and that of the next one that no candle counts
        SELECT min(k.minute) AS minute
        FROM (
            (
                SELECT c.bucket AS minute
                FROM entasis.ohlcv_1m AS c
                WHERE
                    c.symbol = next_trade.symbol_name
                    AND c.exchange = next_trade.exchange_name
                    AND c.bucket > date_bin(
                        '1 minute', next_trade.from_time, '2000-01-01 00:00:00+00'
                    )
                ORDER BY c.bucket ASC
                LIMIT 1
            )
            UNION ALL
            (
                SELECT date_bin('1 minute', d.timestamp, '2000-01-01 00:00:00+00') AS minute
                FROM entasis.market_data AS d
                WHERE
                    d.symbol = next_trade.symbol_name
                    AND d.exchange = next_trade.exchange_name
                    AND d.excluded IS NOT NULL
                    AND d.timestamp >= date_bin(
                        '1 minute', next_trade.from_time, '2000-01-01 00:00:00+00'
                    ) + interval '1 minute'
                ORDER BY d.timestamp ASC
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
                d.symbol = next_trade.symbol_name
                AND d.exchange = next_trade.exchange_name
                AND d.timestamp >= next_trade.from_time
                AND d.timestamp < date_bin(
                    '1 minute', next_trade.from_time, '2000-01-01 00:00:00+00'
                ) + interval '1 minute'
                AND (d.timestamp, d.id) > (next_trade.from_time, next_trade.from_id)
            ORDER BY d.timestamp ASC, d.id ASC
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
                    m.symbol = next_trade.symbol_name
                    AND m.exchange = next_trade.exchange_name
                    AND m.timestamp >= n.minute
                    AND m.timestamp < n.minute + interval '1 minute'
                ORDER BY m.timestamp ASC, m.id ASC
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
                d.symbol = next_trade.symbol_name
                AND d.exchange = next_trade.exchange_name
                AND d.timestamp >= next_trade.from_time
                AND d.timestamp < (SELECT entasis_internal.trades_kept_from() + interval '1 minute')
                AND (d.timestamp, d.id) > (next_trade.from_time, next_trade.from_id)
            ORDER BY d.timestamp ASC, d.id ASC
            LIMIT 1
        )
    ) AS t
    ORDER BY t.traded_at ASC, t.id ASC
    LIMIT 1;
END;

COMMENT ON FUNCTION entasis_internal.next_trade IS
'The trade of a market with the smallest (timestamp, id) above (from_time, from_id), whether candles count it or not. No row: there is none.';
