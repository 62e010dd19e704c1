-- Exchanges round quote_volume, and publish candles without trades: neither is a difference. Only intervals
-- that both have are compared, and only buckets that the exchange's candles name.
CREATE OR REPLACE FUNCTION entasis.check_exchange_candles(
    from_time timestamptz DEFAULT '-infinity',
    to_time timestamptz DEFAULT 'infinity',
    symbol_name text DEFAULT NULL,
    exchange_name text DEFAULT NULL
) RETURNS TABLE (
    symbol varchar,
    exchange varchar,
    candle_interval text,
    bucket timestamptz,
    problem text,
    stored jsonb,
    published jsonb
)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
BEGIN ATOMIC
    SELECT entasis_internal.check_range_bounds(
        check_exchange_candles.from_time, check_exchange_candles.to_time
    );

    SELECT
        e.symbol,
        e.exchange,
        e.interval,
        e.bucket,
        CASE
            WHEN c.bucket IS NULL THEN 'missing'
            ELSE concat_ws(
                ', ',
                CASE WHEN c.open <> e.open THEN 'open' END,
                CASE WHEN c.high <> e.high THEN 'high' END,
                CASE WHEN c.low <> e.low THEN 'low' END,
                CASE WHEN c.close <> e.close THEN 'close' END,
                CASE WHEN c.volume <> e.volume THEN 'volume' END,
                CASE WHEN c.trades <> e.trades THEN 'trades' END
            ) || ' differ'
        END AS problem,
        to_jsonb(c) AS stored,
        to_jsonb(e) AS published
    FROM entasis.exchange_candles AS e
    LEFT OUTER JOIN (
        SELECT
            p.interval,
            o.symbol,
            o.exchange,
            o.bucket,
            o.open,
            o.high,
            o.low,
            o.close,
            o.volume,
            o.trades
        FROM (
            SELECT
                x.symbol,
                x.exchange,
                x.interval,
                min(x.bucket) AS first_bucket,
                max(x.bucket) AS last_bucket
            FROM entasis.exchange_candles AS x
            WHERE
                x.bucket >= check_exchange_candles.from_time
                AND x.bucket < check_exchange_candles.to_time
                AND x.symbol = coalesce(check_exchange_candles.symbol_name, x.symbol)
                AND x.exchange = coalesce(check_exchange_candles.exchange_name, x.exchange)
                AND x.interval IN ('1m', '5m', '15m', '30m', '1h', '4h', '1d', '1w', '1mo')
            GROUP BY x.symbol, x.exchange, x.interval
        ) AS p
        CROSS JOIN LATERAL entasis_internal.read_candles(
            p.symbol,
            p.exchange,
            p.interval::entasis.candle_interval,
            p.first_bucket,
            p.last_bucket + interval '1 microsecond',
            'trades'
        ) AS o
    ) AS c
        ON
            e.symbol = c.symbol AND e.exchange = c.exchange
            AND e.interval = c.interval AND e.bucket = c.bucket
    WHERE
        e.bucket >= check_exchange_candles.from_time
        AND e.bucket < check_exchange_candles.to_time
        AND e.symbol = coalesce(check_exchange_candles.symbol_name, e.symbol)
        AND e.exchange = coalesce(check_exchange_candles.exchange_name, e.exchange)
        AND e.interval IN ('1m', '5m', '15m', '30m', '1h', '4h', '1d', '1w', '1mo')
        AND CASE
            WHEN c.bucket IS NULL
                THEN
                    coalesce(e.trades, e.volume) > 0
                    AND e.bucket >= entasis_internal.candles_known_from(
                        e.interval::entasis.candle_interval
                    )
            ELSE
                (c.open, c.high, c.low, c.close, c.volume, c.trades)
                IS DISTINCT FROM (
                    e.open, e.high, e.low, e.close, e.volume, coalesce(e.trades, c.trades)
                )
        END
    ORDER BY e.symbol, e.exchange, e.interval, e.bucket;
END;

COMMENT ON FUNCTION entasis.check_exchange_candles IS
'Compares candles with those that exchanges publish (exchange_candles), for buckets from from_time (included) to to_time (not included), of all markets or of those named. One row for each that differs: problem names the columns, or says missing where there are no trades of ours; stored is our candle (NULL: none), published the exchange''s. quote_volume is not compared, because exchanges round it; neither are buckets in which the exchange counts no trade, nor those below the floor of our candles that have none of ours.';
