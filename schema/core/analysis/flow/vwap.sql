CREATE OR REPLACE FUNCTION entasis.vwap(
    symbol_name text,
    exchange_name text,
    from_time timestamptz,
    to_time timestamptz
) RETURNS TABLE (
    trades bigint,
    volume numeric,
    quote_volume numeric,
    vwap numeric
)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT
        CASE WHEN k.is_known THEN coalesce(sum(p.trades), 0)::bigint END AS trades,
        CASE WHEN k.is_known THEN coalesce(sum(p.volume), 0) END AS volume,
        CASE WHEN k.is_known THEN coalesce(sum(p.quote_volume), 0) END AS quote_volume,
        CASE
            WHEN k.is_known
                THEN
                    (sum(p.quote_volume) + 0.000000000000000000000000)
                    / nullif(sum(p.volume), 0)
        END AS vwap
    FROM (
        SELECT
            e.first_minute,
            greatest(e.first_minute, e.minute_of_end) AS last_minute
        FROM (
            SELECT
                least(
                    (
                        date_bin(
                            interval '1 minute',
                            vwap.from_time AT TIME ZONE 'UTC' - interval '1 microsecond',
                            '2000-01-01'::timestamp
                        ) + interval '1 minute'
                    ) AT TIME ZONE 'UTC',
                    vwap.to_time
                ) AS first_minute,
                date_bin(
                    interval '1 minute', vwap.to_time, '2000-01-01 00:00:00+00'::timestamptz
                ) AS minute_of_end
        ) AS e
    ) AS m
    CROSS JOIN
        LATERAL (
            SELECT
                (
                    m.first_minute = vwap.from_time
                    OR entasis_internal.trades_known_from(
                        vwap.symbol_name, vwap.exchange_name, vwap.from_time
                    ) = vwap.from_time
                )
                AND (
                    m.last_minute = vwap.to_time
                    OR entasis_internal.trades_known_from(
                        vwap.symbol_name, vwap.exchange_name, m.last_minute
                    ) = m.last_minute
                )
                AND (
                    m.first_minute = m.last_minute
                    OR m.first_minute >= entasis_internal.candles_known_from('1m')
                    OR entasis_internal.is_known_below_floor(
                        '1m', vwap.symbol_name, vwap.exchange_name, m.first_minute, m.last_minute
                    )
                ) AS is_known
        ) AS k
    LEFT JOIN LATERAL (
        SELECT
            c.trades,
            c.volume,
            c.quote_volume
        FROM entasis.ohlcv_1m AS c
        WHERE
            c.symbol = vwap.symbol_name
            AND c.exchange = vwap.exchange_name
            AND c.bucket >= m.first_minute
            AND c.bucket < m.last_minute
        UNION ALL
        SELECT
            1 AS trades,
            d.volume,
            d.price * d.volume AS quote_volume
        FROM entasis.market_data AS d
        WHERE
            d.symbol = vwap.symbol_name
            AND d.exchange = vwap.exchange_name
            AND d.timestamp >= vwap.from_time
            AND d.timestamp < m.first_minute
            AND d.excluded IS NULL
        UNION ALL
        SELECT
            1 AS trades,
            d.volume,
            d.price * d.volume AS quote_volume
        FROM entasis.market_data AS d
        WHERE
            d.symbol = vwap.symbol_name
            AND d.exchange = vwap.exchange_name
            AND d.timestamp >= m.last_minute
            AND d.timestamp < vwap.to_time
            AND d.excluded IS NULL
    ) AS p ON TRUE
    GROUP BY k.is_known;
END;

COMMENT ON FUNCTION entasis.vwap IS
'Average price of one market in [from_time, to_time), weighted by volume: always one row. volume is in the market''s volume_unit, quote_volume is the sum of price * volume, both exact and 0 without a trade; vwap is quote_volume / volume, in quote units, to at least 24 decimals, NULL without a trade. Where volume counts contracts of a value in quote units, as of inverse contracts, the weights are these values. Whole minutes are read from the candles, the rest of the range from the trades. All are NULL where some of what they need was dropped. Reads only the partitions of the range.';
