-- All touched buckets are locked first (lock_candles()); a later statement, whose snapshot is newer than the locks, reads the
-- trades. A single statement that did both would read the trades as they were before it waited.
CREATE OR REPLACE FUNCTION entasis_internal.recompute_candles(touched entasis.ohlcv_1m[])
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    minutes entasis.ohlcv_1m[]
        := entasis_internal.candle_placeholders(touched, interval '1 minute');
    hours entasis.ohlcv_1m[] := entasis_internal.candle_placeholders(touched, interval '1 hour');
    days entasis.ohlcv_1m[] := entasis_internal.candle_placeholders(touched, interval '1 day');
BEGIN
    -- Until the end of the transaction, inserted trades are recomputed instead of merged. An upsert, a
    -- MERGE or a CTE fires several triggers in one statement, and the candles computed here already count
    -- that statement's new trades: merging them afterwards would count them twice.
    DELETE FROM entasis_internal.recomputing AS r
    WHERE r.backend = pg_backend_pid() AND r.transaction_id <> pg_current_xact_id();
    INSERT INTO entasis_internal.recomputing DEFAULT VALUES ON CONFLICT DO NOTHING;

    PERFORM entasis_internal.record_traded_markets(days);
    PERFORM entasis_internal.lock_candles(minutes, hours, days);

    UPDATE entasis.ohlcv_1m AS c SET
        open = n.opening[3],
        high = n.high,
        low = n.low,
        close = n.closing[3],
        volume = n.volume,
        quote_volume = n.quote_volume,
        trades = n.trades,
        opened_at = n.opened_at,
        first_trade_id = n.opening[2],
        closed_at = n.closed_at,
        last_trade_id = n.closing[2]
    FROM unnest(minutes) AS t
    CROSS JOIN LATERAL (
        SELECT
            min(entasis_internal.trade_order(d.timestamp, d.id, d.price)) AS opening,
            max(d.price) AS high,
            min(d.price) AS low,
            max(entasis_internal.trade_order(d.timestamp, d.id, d.price)) AS closing,
            coalesce(sum(d.volume), 0) AS volume,
            coalesce(sum(d.price * d.volume), 0) AS quote_volume,
            count(*) AS trades,
            min(d.timestamp) AS opened_at,
            max(d.timestamp) AS closed_at
        FROM entasis.market_data AS d
        WHERE
            d.symbol = t.symbol
            AND d.exchange = t.exchange
            AND d.timestamp >= t.bucket
            AND d.timestamp < t.bucket + interval '1 minute'
            AND d.excluded IS NULL
    ) AS n
    WHERE
        c.symbol = t.symbol AND c.exchange = t.exchange AND c.bucket = t.bucket
        AND n.trades > 0;

    DELETE FROM entasis.ohlcv_1m AS c
    USING unnest(minutes) AS t
    WHERE
        c.symbol = t.symbol AND c.exchange = t.exchange AND c.bucket = t.bucket
        AND NOT EXISTS (
            SELECT FROM entasis.market_data AS d
            WHERE
                d.symbol = t.symbol
                AND d.exchange = t.exchange
                AND d.timestamp >= t.bucket
                AND d.timestamp < t.bucket + interval '1 minute'
                AND d.excluded IS NULL
        );

    UPDATE entasis.ohlcv_1h AS c SET
        open = n.opening[3],
        high = n.high,
        low = n.low,
        close = n.closing[3],
        volume = n.volume,
        quote_volume = n.quote_volume,
        trades = n.trades,
        opened_at = n.opened_at,
        first_trade_id = n.opening[2],
        closed_at = n.closed_at,
        last_trade_id = n.closing[2]
    FROM unnest(hours) AS t
    CROSS JOIN LATERAL (
        SELECT
            min(entasis_internal.trade_order(m.opened_at, m.first_trade_id, m.open)) AS opening,
            max(m.high) AS high,
            min(m.low) AS low,
            max(entasis_internal.trade_order(m.closed_at, m.last_trade_id, m.close)) AS closing,
            coalesce(sum(m.volume), 0) AS volume,
            coalesce(sum(m.quote_volume), 0) AS quote_volume,
            coalesce(sum(m.trades), 0)::bigint AS trades,
            min(m.opened_at) AS opened_at,
            max(m.closed_at) AS closed_at
        FROM entasis.ohlcv_1m AS m
        WHERE
            m.symbol = t.symbol
            AND m.exchange = t.exchange
            AND m.bucket >= t.bucket
            AND m.bucket < t.bucket + interval '1 hour'
    ) AS n
    WHERE
        c.symbol = t.symbol AND c.exchange = t.exchange AND c.bucket = t.bucket
        AND n.trades > 0;

    DELETE FROM entasis.ohlcv_1h AS c
    USING unnest(hours) AS t
    WHERE
        c.symbol = t.symbol AND c.exchange = t.exchange AND c.bucket = t.bucket
        AND NOT EXISTS (
            SELECT FROM entasis.ohlcv_1m AS m
            WHERE
                m.symbol = t.symbol
                AND m.exchange = t.exchange
                AND m.bucket >= t.bucket
                AND m.bucket < t.bucket + interval '1 hour'
        );

    UPDATE entasis.ohlcv_1d AS c SET
        open = n.opening[3],
        high = n.high,
        low = n.low,
        close = n.closing[3],
        volume = n.volume,
        quote_volume = n.quote_volume,
        trades = n.trades,
        opened_at = n.opened_at,
        first_trade_id = n.opening[2],
        closed_at = n.closed_at,
        last_trade_id = n.closing[2]
    FROM unnest(days) AS t
    CROSS JOIN LATERAL (
        SELECT
            min(entasis_internal.trade_order(h.opened_at, h.first_trade_id, h.open)) AS opening,
            max(h.high) AS high,
            min(h.low) AS low,
            max(entasis_internal.trade_order(h.closed_at, h.last_trade_id, h.close)) AS closing,
            coalesce(sum(h.volume), 0) AS volume,
            coalesce(sum(h.quote_volume), 0) AS quote_volume,
            coalesce(sum(h.trades), 0)::bigint AS trades,
            min(h.opened_at) AS opened_at,
            max(h.closed_at) AS closed_at
        FROM entasis.ohlcv_1h AS h
        WHERE
            h.symbol = t.symbol
            AND h.exchange = t.exchange
            AND h.bucket >= t.bucket
            AND h.bucket < t.bucket + interval '24 hours'
    ) AS n
    WHERE
        c.symbol = t.symbol AND c.exchange = t.exchange AND c.bucket = t.bucket
        AND n.trades > 0;

    DELETE FROM entasis.ohlcv_1d AS c
    USING unnest(days) AS t
    WHERE
        c.symbol = t.symbol AND c.exchange = t.exchange AND c.bucket = t.bucket
        AND NOT EXISTS (
            SELECT FROM entasis.ohlcv_1h AS h
            WHERE
                h.symbol = t.symbol
                AND h.exchange = t.exchange
                AND h.bucket >= t.bucket
                AND h.bucket < t.bucket + interval '24 hours'
        );

    PERFORM entasis_internal.notify_candle_changes(minutes);
END
$$;

COMMENT ON FUNCTION entasis_internal.recompute_candles IS
'Recomputes every minute, hour and day that contains one of the given buckets from the stored trades, and deletes those that have none left. Only the keys of the argument are used.';
