-- The newest minute that has a trade by the moment says what that trade is, unless the minute goes on after the moment:
-- then its trades do. So a market that was silent for long is found by its own key, whatever else was traded meanwhile,
-- and the price outlives the trades. Without settings, so that it is inlined. The minute is in a subquery of its own,
-- which is ended by LIMIT.
-- Of a minute below the floor of trades some may have been dropped: it counts if all that its candle counts are there.
CREATE OR REPLACE FUNCTION entasis_internal.trade_asof_minutes(
    symbol_name text, exchange_name text, at_time timestamptz, max_age interval
) RETURNS TABLE (traded_at timestamptz, trade_id bigint, price numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT
        t.traded_at,
        t.trade_id,
        t.price
    FROM (
        SELECT
            m.symbol,
            m.exchange,
            m.bucket,
            m.trades,
            m.closed_at,
            m.last_trade_id,
            m.close
        FROM entasis.ohlcv_1m AS m
        WHERE
            m.symbol = trade_asof_minutes.symbol_name
            AND m.exchange = trade_asof_minutes.exchange_name
            AND m.bucket <= trade_asof_minutes.at_time
            AND m.bucket
            > (
                trade_asof_minutes.at_time AT TIME ZONE 'UTC' - trade_asof_minutes.max_age
                - interval '1 minute'
            ) AT TIME ZONE 'UTC'
            AND m.opened_at <= trade_asof_minutes.at_time
        ORDER BY m.bucket DESC
        LIMIT 1
    ) AS c
    CROSS JOIN
        LATERAL (
            SELECT
                c.closed_at AS traded_at,
                c.last_trade_id AS trade_id,
                c.close AS price
            WHERE c.closed_at <= trade_asof_minutes.at_time
            UNION ALL
            (
                SELECT
                    d.timestamp AS traded_at,
                    d.id AS trade_id,
                    d.price
                FROM entasis.market_data AS d
                WHERE
                    c.closed_at > trade_asof_minutes.at_time
                    AND d.symbol = c.symbol
                    AND d.exchange = c.exchange
                    AND d.timestamp >= c.bucket
                    AND d.timestamp <= trade_asof_minutes.at_time
                    AND d.excluded IS NULL
                    AND (
                        c.bucket >= (SELECT entasis_internal.trades_kept_from())
                        OR c.trades = (
                            SELECT count(*)
                            FROM entasis.market_data AS a
                            WHERE
                                a.symbol = c.symbol
                                AND a.exchange = c.exchange
                                AND a.timestamp >= c.bucket
                                AND a.timestamp < c.bucket + interval '1 minute'
                                AND a.excluded IS NULL
                        )
                    )
                ORDER BY d.timestamp DESC, d.id DESC
                LIMIT 1
            )
        ) AS t
    WHERE
        t.traded_at
        > (
            trade_asof_minutes.at_time AT TIME ZONE 'UTC' - trade_asof_minutes.max_age
        ) AT TIME ZONE 'UTC'
        AND (
            c.bucket >= (SELECT entasis_internal.candles_known_from('1m'))
            OR entasis_internal.is_known_below_floor(
                '1m',
                trade_asof_minutes.symbol_name,
                trade_asof_minutes.exchange_name,
                c.bucket,
                trade_asof_minutes.at_time + interval '1 microsecond'
            )
        );
END;

COMMENT ON FUNCTION entasis_internal.trade_asof_minutes IS
'As trade_asof(), from the candles of minutes, and the trades of the minute that a moment lies in.';
