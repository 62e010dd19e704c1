-- A bucket without a trade repeats the last price: open, high, low and close are the previous close,
-- volumes and trades are 0, first and last trade NULL. There are no rows before the market's first trade
-- and none for the future. A bucket below the floor may have had trades: it is not filled, and no price is
-- carried over it.
CREATE OR REPLACE FUNCTION entasis.candles_filled(
    symbol_name text,
    exchange_name text,
    candle_interval entasis.candle_interval,
    from_time timestamptz DEFAULT '2009-01-01 00:00:00+00',
    to_time timestamptz DEFAULT now() + interval '1 day'
) RETURNS TABLE (
    symbol varchar,
    exchange varchar,
    bucket timestamptz,
    open numeric,
    high numeric,
    low numeric,
    close numeric,
    volume numeric,
    quote_volume numeric,
    trades bigint,
    opened_at timestamptz,
    first_trade_id bigint,
    closed_at timestamptz,
    last_trade_id bigint,
    turnover numeric,
    vwap numeric
)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
BEGIN ATOMIC
    WITH real_candles AS (
        SELECT c.*
        FROM entasis.candles(
            candles_filled.symbol_name,
            candles_filled.exchange_name,
            candles_filled.candle_interval,
            candles_filled.from_time,
            candles_filled.to_time
        ) AS c
    ),

    -- the last price before the range
    before AS (
        SELECT l.close
        FROM (
            SELECT
                m.bucket,
                m.close
            FROM entasis.ohlcv_1m AS m
            WHERE
                m.symbol = candles_filled.symbol_name
                AND m.exchange = candles_filled.exchange_name
                AND m.bucket
                < entasis.candle_bucket_from(
                    candles_filled.candle_interval, candles_filled.from_time
                )
            ORDER BY m.bucket DESC
            LIMIT 1
        ) AS l
        WHERE
            l.bucket >= (SELECT entasis_internal.candles_known_from('1m'))
            OR entasis_internal.is_known_below_floor(
                '1m',
                candles_filled.symbol_name,
                candles_filled.exchange_name,
                l.bucket,
                entasis.candle_bucket_from(
                    candles_filled.candle_interval, candles_filled.from_time
                )
            )
    ),

    buckets AS (
        SELECT
            s.utc AT TIME ZONE 'UTC' AS bucket,
            s.utc AT TIME ZONE 'UTC'
            >= (SELECT entasis_internal.candles_known_from(candles_filled.candle_interval))
            OR entasis_internal.is_known_below_floor(
                candles_filled.candle_interval,
                candles_filled.symbol_name,
                candles_filled.exchange_name,
                s.utc AT TIME ZONE 'UTC'
            ) AS is_known
        FROM generate_series(
            -- without a price before the range, there is nothing to fill with before its first candle
            CASE
                WHEN
                    (SELECT min(r.bucket) FROM real_candles AS r)
                    <= entasis.candle_bucket_from(
                        candles_filled.candle_interval, candles_filled.from_time
                    )
                    OR EXISTS (SELECT FROM before)
                    THEN
                        entasis.candle_bucket_from(
                            candles_filled.candle_interval, candles_filled.from_time
                        )
                ELSE (SELECT min(r.bucket) FROM real_candles AS r)
            END AT TIME ZONE 'UTC',
            least(candles_filled.to_time, now()) AT TIME ZONE 'UTC' - interval '1 microsecond',
            entasis.candle_step(candles_filled.candle_interval)
        ) AS s (utc)
    ),

    -- a run is a candle, or a bucket that is not known, and the gaps after it
    runs AS (
        SELECT
            bucket,
            r.open,
            r.high,
            r.low,
            r.close,
            r.volume,
            r.quote_volume,
            r.trades,
            r.opened_at,
            r.first_trade_id,
            r.closed_at,
            r.last_trade_id,
            r.turnover,
            r.vwap,
            count(r.close) OVER (ORDER BY bucket)
            + count(*) FILTER (WHERE NOT b.is_known) OVER (ORDER BY bucket) AS run
        FROM buckets AS b
        FULL OUTER JOIN real_candles AS r USING (bucket)
    ),

    carried AS (
        SELECT
            f.*,
            coalesce(
                first_value(f.close) OVER (PARTITION BY f.run ORDER BY f.bucket),
                CASE WHEN f.run = 0 THEN (SELECT b.close FROM before AS b) END
            ) AS last_close
        FROM runs AS f
    )

    SELECT
        candles_filled.symbol_name,
        candles_filled.exchange_name,
        g.bucket,
        coalesce(g.open, g.last_close) AS open,
        coalesce(g.high, g.last_close) AS high,
        coalesce(g.low, g.last_close) AS low,
        coalesce(g.close, g.last_close) AS close,
        coalesce(g.volume, 0) AS volume,
        coalesce(g.quote_volume, 0) AS quote_volume,
        coalesce(g.trades, 0) AS trades,
        g.opened_at,
        g.first_trade_id,
        g.closed_at,
        g.last_trade_id,
        CASE
            WHEN g.trades IS NOT NULL THEN g.turnover
            -- 0 where it is known what turnover is
            ELSE (
                SELECT 0 * coalesce(u.per_volume, u.per_quote_volume)
                FROM
                    entasis_internal.turnover_rates(
                        candles_filled.symbol_name, candles_filled.exchange_name
                    ) AS u
            )
        END AS turnover,
        g.vwap
    FROM carried AS g
    WHERE g.last_close IS NOT NULL;
END;

COMMENT ON FUNCTION entasis.candles_filled IS
'As candles(), with a flat candle (volume and trades 0, turnover 0 where it is defined, vwap, first and last trade NULL) for every bucket without a trade from the market''s first trade to now, except below the floor. Its times have the same defaults: all of the market.';
