CREATE OR REPLACE FUNCTION entasis_internal.recompute_level(
    candles entasis.ohlcv_1m[], step interval, target text, source text
) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
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
                min(entasis_internal.trade_order(m.opened_at, m.first_trade_id, m.open)) AS opening,
                max(m.high) AS high,
                min(m.low) AS low,
                max(entasis_internal.trade_order(m.closed_at, m.last_trade_id, m.close)) AS closing,
                coalesce(sum(m.volume), 0) AS volume,
                coalesce(sum(m.quote_volume), 0) AS quote_volume,
                coalesce(sum(m.trades), 0)::bigint AS trades,
                min(m.opened_at) AS opened_at,
                max(m.closed_at) AS closed_at
            FROM %s AS m
            WHERE
                m.symbol = t.symbol
                AND m.exchange = t.exchange
                AND m.bucket >= t.bucket
                AND m.bucket < t.bucket + $2
        ) AS n
        WHERE
            c.symbol = t.symbol AND c.exchange = t.exchange AND c.bucket = t.bucket
            AND n.trades > 0
        $sql$, target, source
    ) USING candles, step;
    EXECUTE format(
        $sql$
        DELETE FROM %s AS c
        USING unnest($1) AS t
        WHERE
            c.symbol = t.symbol AND c.exchange = t.exchange AND c.bucket = t.bucket
            AND NOT EXISTS (
                SELECT FROM %s AS m
                WHERE
                    m.symbol = t.symbol
                    AND m.exchange = t.exchange
                    AND m.bucket >= t.bucket
                    AND m.bucket < t.bucket + $2
            )
        $sql$, target, source
    ) USING candles, step;
END
$$;

COMMENT ON FUNCTION entasis_internal.recompute_level IS
'Recomputes these candles of length step in the shard target from those in the shard source, and deletes those that have none left.';
