-- Each interval is computed from the next shorter one, so that a difference is reported where it arose.
-- A candle that counts more trades than market_data holds is the last that is known of them, and must not be
-- computed anew: the trades are missing. Only what differs is counted in market_data a second time.
-- Whole UTC days are compared, because the candle of a day needs them. The bounds are scalar subqueries, so
-- that partitions outside them are pruned at run time.
CREATE OR REPLACE FUNCTION entasis.check_candles(
    from_time timestamptz DEFAULT '-infinity', to_time timestamptz DEFAULT 'infinity'
) RETURNS TABLE (
    relation text,
    symbol varchar,
    exchange varchar,
    bucket timestamptz,
    problem text,
    missing_trades bigint,
    stored jsonb,
    expected jsonb
)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
BEGIN ATOMIC
    SELECT entasis_internal.check_range_bounds(check_candles.from_time, check_candles.to_time);

    WITH bounds AS (
        SELECT
            greatest(entasis_internal.first_whole_day(), CASE
                WHEN isfinite(check_candles.from_time)
                    THEN date_trunc('day', check_candles.from_time)
                ELSE check_candles.from_time
            END) AS from_day,
            CASE
                WHEN isfinite(check_candles.to_time)
                    THEN date_trunc(
                        'day', check_candles.to_time + interval '1 day' - interval '1 microsecond'
                    )
                ELSE check_candles.to_time
            END AS to_day
    ),

    stored_candles AS (
        SELECT
            'ohlcv_1m' AS relation,
            c.*
        FROM entasis.ohlcv_1m AS c
        UNION ALL
        SELECT
            'ohlcv_1h' AS relation,
            c.*
        FROM entasis.ohlcv_1h AS c
        UNION ALL
        SELECT
            'ohlcv_1d' AS relation,
            c.*
        FROM entasis.ohlcv_1d AS c
    ),

    stored_in_range AS (
        SELECT s.*
        FROM stored_candles AS s
        WHERE
            s.bucket >= (SELECT b.from_day FROM bounds AS b)
            AND s.bucket < (SELECT b.to_day FROM bounds AS b)
    ),

    parts AS (
        SELECT
            'ohlcv_1m' AS relation,
            d.symbol,
            d.exchange,
            date_bin('1 minute', d.timestamp, '2000-01-01 00:00:00+00'::timestamptz) AS bucket,
            d.timestamp AS opened_at,
            d.id AS first_trade_id,
            d.price AS open,
            d.price AS high,
            d.price AS low,
            d.price AS close,
            d.volume,
            d.price * d.volume AS quote_volume,
            1 AS trades,
            d.timestamp AS closed_at,
            d.id AS last_trade_id
        FROM entasis.market_data AS d
        WHERE
            d.timestamp >= (SELECT b.from_day FROM bounds AS b)
            AND d.timestamp < (SELECT b.to_day FROM bounds AS b) AND d.excluded IS NULL
        UNION ALL
        SELECT
            CASE s.relation WHEN 'ohlcv_1m' THEN 'ohlcv_1h' ELSE 'ohlcv_1d' END AS relation,
            s.symbol,
            s.exchange,
            date_bin(
                CASE s.relation WHEN 'ohlcv_1m' THEN interval '1 hour' ELSE interval '1 day' END,
                s.bucket, '2000-01-01 00:00:00+00'::timestamptz
            ) AS bucket,
            s.opened_at,
            s.first_trade_id,
            s.open,
            s.high,
            s.low,
            s.close,
            s.volume,
            s.quote_volume,
            s.trades,
            s.closed_at,
            s.last_trade_id
        FROM stored_in_range AS s
        WHERE s.relation IN ('ohlcv_1m', 'ohlcv_1h')
    ),

    grouped AS (
        SELECT
            p.relation,
            p.symbol,
            p.exchange,
            p.bucket,
            min(entasis_internal.trade_order(p.opened_at, p.first_trade_id, p.open)) AS opening,
            max(p.high) AS high,
            min(p.low) AS low,
            max(entasis_internal.trade_order(p.closed_at, p.last_trade_id, p.close)) AS closing,
            sum(p.volume) AS volume,
            sum(p.quote_volume) AS quote_volume,
            sum(p.trades)::bigint AS trades,
            min(p.opened_at) AS opened_at,
            max(p.closed_at) AS closed_at
        FROM parts AS p
        GROUP BY p.relation, p.symbol, p.exchange, p.bucket
    ),

    computed AS (
        SELECT
            g.relation,
            g.symbol,
            g.exchange,
            g.bucket,
            g.opening[3] AS open,
            g.high,
            g.low,
            g.closing[3] AS close,
            g.volume,
            g.quote_volume,
            g.trades,
            g.opened_at,
            g.opening[2]::bigint AS first_trade_id,
            g.closed_at,
            g.closing[2]::bigint AS last_trade_id
        FROM grouped AS g
    ),

    differing AS (
        SELECT
            relation,
            symbol,
            exchange,
            bucket,
            CASE relation
                WHEN 'ohlcv_1m' THEN interval '1 minute'
                WHEN 'ohlcv_1h' THEN interval '1 hour'
                ELSE interval '24 hours'
            END AS step,
            s.trades AS stored_trades,
            e.trades AS expected_trades,
            CASE WHEN s.trades IS NOT NULL THEN to_jsonb(s) END AS stored,
            CASE WHEN e.trades IS NOT NULL THEN to_jsonb(e) END AS expected
        FROM stored_in_range AS s
        FULL OUTER JOIN computed AS e USING (relation, symbol, exchange, bucket)
        WHERE
            (
                s.open, s.high, s.low, s.close, s.volume, s.quote_volume, s.trades,
                s.opened_at, s.first_trade_id, s.closed_at, s.last_trade_id
            ) IS DISTINCT FROM (
                e.open, e.high, e.low, e.close, e.volume, e.quote_volume, e.trades,
                e.opened_at, e.first_trade_id, e.closed_at, e.last_trade_id
            )
    ),

    counted AS (
        SELECT
            w.*,
            (
                SELECT count(*)
                FROM entasis.market_data AS d
                WHERE
                    d.symbol = w.symbol
                    AND d.exchange = w.exchange
                    AND d.timestamp >= w.bucket
                    AND d.timestamp < w.bucket + w.step AND d.excluded IS NULL
            ) AS held
        FROM differing AS w
    )

    SELECT
        c.relation,
        c.symbol,
        c.exchange,
        c.bucket,
        CASE
            WHEN c.stored_trades > c.held THEN 'missing trades'
            WHEN c.stored_trades IS NULL THEN 'missing'
            WHEN c.expected_trades IS NULL THEN 'surplus'
            ELSE 'different'
        END AS problem,
        greatest(c.stored_trades - c.held, 0) AS missing_trades,
        c.stored,
        c.expected
    FROM counted AS c
    UNION ALL
    SELECT
        r.relation,
        r.symbol,
        r.exchange,
        r.bucket,
        r.problem,
        r.missing_trades,
        r.stored,
        r.expected
    FROM
        entasis_internal.check_reopened_candles(
            check_candles.from_time, check_candles.to_time
        ) AS r
    ORDER BY relation, symbol, exchange, bucket;
END;

COMMENT ON FUNCTION entasis.check_candles IS
'Stored candles of the UTC days that overlap [from_time, to_time) that do not equal what is computed from their trades, minutes or hours. problem is ''missing trades'' where the candle counts missing_trades more than market_data holds: it is the last that is known of them. Otherwise missing_trades is 0 and the candle is wrong: missing, surplus or different. No rows: all are right. Days that start below the floor of market_data are checked where they are reopened only, because trades of the others have been dropped. On engine timescaledb, call refresh_candles() first: until then, candles still count what was just deleted.';
