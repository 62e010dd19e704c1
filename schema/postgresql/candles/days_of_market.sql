-- From the first to the last trade or candle of the market, two probes of each primary key of candles, and of the days
-- in between those that have some: four probes a day, where a rebuild is a transaction. The day that contains the
-- floor is left out: its candles count trades that have been dropped.
CREATE OR REPLACE FUNCTION entasis_internal.days_of_market(
    symbol_name text, exchange_name text, from_time timestamptz, to_time timestamptz
) RETURNS TABLE (day timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
BEGIN ATOMIC
    WITH extremes AS (
        SELECT
            min(d.timestamp) AS first_time,
            max(d.timestamp) AS last_time
        FROM entasis.market_data AS d
        WHERE
            d.symbol = symbol_name AND d.exchange = exchange_name
            AND d.timestamp >= days_of_market.from_time AND d.timestamp < days_of_market.to_time
        UNION ALL
        SELECT
            min(c.bucket) AS first_time,
            max(c.bucket) AS last_time
        FROM entasis.ohlcv_1m AS c
        WHERE c.symbol = symbol_name AND c.exchange = exchange_name
        UNION ALL
        SELECT
            min(c.bucket) AS first_time,
            max(c.bucket) AS last_time
        FROM entasis.ohlcv_1h AS c
        WHERE c.symbol = symbol_name AND c.exchange = exchange_name
        UNION ALL
        SELECT
            min(c.bucket) AS first_time,
            max(c.bucket) AS last_time
        FROM entasis.ohlcv_1d AS c
        WHERE c.symbol = symbol_name AND c.exchange = exchange_name
    )

    SELECT s.each_day
    FROM (
        SELECT
            min(e.first_time) AS first_time,
            max(e.last_time) AS last_time
        FROM extremes AS e
        -- a market may be on record and have neither: its days would not end
        HAVING min(e.first_time) IS NOT NULL
    ) AS r
    CROSS JOIN
        LATERAL generate_series(
            greatest(
                date_trunc('day', r.first_time),
                entasis_internal.first_whole_day(),
                CASE
                    WHEN isfinite(days_of_market.from_time)
                        THEN date_trunc('day', days_of_market.from_time)
                END
            ),
            least(r.last_time, days_of_market.to_time - interval '1 microsecond'),
            interval '1 day'
        ) AS s (each_day)
    WHERE
        days_of_market.from_time < days_of_market.to_time
        AND (
            EXISTS (
                SELECT FROM entasis.market_data AS d
                WHERE
                    d.symbol = symbol_name AND d.exchange = exchange_name
                    AND d.timestamp >= s.each_day AND d.timestamp < s.each_day + interval '1 day'
            )
            OR EXISTS (
                SELECT FROM entasis.ohlcv_1m AS c
                WHERE
                    c.symbol = symbol_name AND c.exchange = exchange_name
                    AND c.bucket >= s.each_day AND c.bucket < s.each_day + interval '1 day'
            )
            OR EXISTS (
                SELECT FROM entasis.ohlcv_1h AS c
                WHERE
                    c.symbol = symbol_name AND c.exchange = exchange_name
                    AND c.bucket >= s.each_day AND c.bucket < s.each_day + interval '1 day'
            )
            OR EXISTS (
                SELECT FROM entasis.ohlcv_1d AS c
                WHERE
                    c.symbol = symbol_name AND c.exchange = exchange_name
                    AND c.bucket = s.each_day
            )
        )
    ORDER BY s.each_day;
END;

COMMENT ON FUNCTION entasis_internal.days_of_market IS
'UTC days that overlap [from_time, to_time), have trades or candles of the market, and lie entirely above the floor.';
