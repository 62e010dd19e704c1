-- From the trades, because a candle does not know of late ones before the next refresh; below their floor from the
-- candles, which stay longer. What the key passes on its way, trades of the same symbol on other exchanges, lies in the
-- newest chunks, because the columnstore keeps each market by itself.
CREATE OR REPLACE FUNCTION entasis_internal.trade_asof(
    symbol_name text, exchange_name text, at_time timestamptz, max_age interval
) RETURNS TABLE (traded_at timestamptz, trade_id bigint, price numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT
        t.traded_at,
        t.trade_id,
        t.price
    FROM (
        (
            SELECT
                d.timestamp AS traded_at,
                d.id AS trade_id,
                d.price
            FROM entasis.market_data AS d
            WHERE
                d.symbol = trade_asof.symbol_name
                AND d.exchange = trade_asof.exchange_name
                AND d.timestamp <= trade_asof.at_time
                AND d.timestamp
                > (trade_asof.at_time AT TIME ZONE 'UTC' - trade_asof.max_age) AT TIME ZONE 'UTC'
                AND d.timestamp >= (SELECT entasis_internal.trades_kept_from())
                AND d.excluded IS NULL
            ORDER BY d.timestamp DESC, d.id DESC
            LIMIT 1
        )
        UNION ALL
        SELECT
            m.traded_at,
            m.trade_id,
            m.price
        FROM
            entasis_internal.trade_asof_minutes(
                trade_asof.symbol_name,
                trade_asof.exchange_name,
                trade_asof.at_time,
                trade_asof.max_age
            ) AS m
        WHERE
            (trade_asof.at_time AT TIME ZONE 'UTC' - trade_asof.max_age) AT TIME ZONE 'UTC'
            < (SELECT entasis_internal.trades_kept_from())
    ) AS t
    WHERE trade_asof.at_time <= statement_timestamp()
    ORDER BY t.traded_at DESC, t.trade_id DESC
    LIMIT 1;
END;

COMMENT ON FUNCTION entasis_internal.trade_asof IS
'The last trade of a market, by (timestamp, id), that was made in (at_time - max_age, at_time], of those that candles count. No row: there is none, it is not known because its time was dropped, or at_time is NULL, infinite or still to come. Arithmetic is on UTC''s own clock.';
