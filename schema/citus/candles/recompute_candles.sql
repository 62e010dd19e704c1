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
    symbol_name CONSTANT text := touched[1].symbol;
    level_of_minutes CONSTANT text := entasis_internal.shard_of('entasis.ohlcv_1m', symbol_name);
BEGIN
    -- Until the end of the transaction, inserted trades are recomputed instead of merged. An upsert, a
    -- MERGE or a CTE fires several triggers in one statement, and the candles computed here already count
    -- that statement's new trades: merging them afterwards would count them twice.
    PERFORM entasis_internal.record_recomputing(symbol_name);
    PERFORM entasis_internal.record_traded_markets(days);
    PERFORM entasis_internal.lock_candles(minutes, hours, days);

    EXECUTE format(
        $sql$
        UPDATE %s AS c SET
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
        FROM unnest($1) AS t
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
            FROM %s AS d
            WHERE
                d.symbol = t.symbol
                AND d.exchange = t.exchange
                AND d.timestamp >= t.bucket
                AND d.timestamp < t.bucket + interval '1 minute'
                AND d.excluded IS NULL
        ) AS n
        WHERE
            c.symbol = t.symbol AND c.exchange = t.exchange AND c.bucket = t.bucket
            AND n.trades > 0
        $sql$,
        level_of_minutes, entasis_internal.shard_of('entasis.market_data', symbol_name)
    ) USING minutes;
    EXECUTE format(
        $sql$
        DELETE FROM %s AS c
        USING unnest($1) AS t
        WHERE
            c.symbol = t.symbol AND c.exchange = t.exchange AND c.bucket = t.bucket
            AND NOT EXISTS (
                SELECT FROM %s AS d
                WHERE
                    d.symbol = t.symbol
                    AND d.exchange = t.exchange
                    AND d.timestamp >= t.bucket
                    AND d.timestamp < t.bucket + interval '1 minute'
                    AND d.excluded IS NULL
            )
        $sql$,
        level_of_minutes, entasis_internal.shard_of('entasis.market_data', symbol_name)
    ) USING minutes;

    PERFORM entasis_internal.recompute_level(
        hours, interval '1 hour', entasis_internal.shard_of('entasis.ohlcv_1h', symbol_name), level_of_minutes
    );
    PERFORM entasis_internal.recompute_level(
        days, interval '24 hours', entasis_internal.shard_of('entasis.ohlcv_1d', symbol_name),
        entasis_internal.shard_of('entasis.ohlcv_1h', symbol_name)
    );
END
$$;

COMMENT ON FUNCTION entasis_internal.recompute_candles IS
'Recomputes every minute, hour and day that contains one of the given buckets, all of one shard, from the stored trades, and deletes those that have none left. Only the keys of the argument are used.';
