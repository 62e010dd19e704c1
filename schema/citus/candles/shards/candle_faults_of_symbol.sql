-- What check_candles() does, for one symbol, on the node that has it: trades and candles of a symbol commit there together, so that
-- one statement's snapshot has both. A query over all shards has a snapshot on each, and would tell of candles whose
-- trades it does not see yet.
CREATE OR REPLACE FUNCTION entasis_internal.candle_faults_of_symbol(
    symbol_name text, from_day timestamptz, to_day timestamptz
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
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
BEGIN
    RETURN QUERY EXECUTE format(
        $sql$
        WITH stored_candles AS (
            SELECT
                'ohlcv_1m' AS relation,
                c.*
            FROM %1$s AS c WHERE c.symbol = $1
            UNION ALL
            SELECT
                'ohlcv_1h' AS relation,
                c.*
            FROM %2$s AS c WHERE c.symbol = $1
            UNION ALL
            SELECT
                'ohlcv_1d' AS relation,
                c.*
            FROM %3$s AS c WHERE c.symbol = $1
        ),

        stored_in_range AS (
            SELECT s.*
            FROM stored_candles AS s
            WHERE
                s.bucket >= $2
                AND s.bucket < $3
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
            FROM %4$s AS d
            WHERE
                d.symbol = $1
                AND d.timestamp >= $2
                AND d.timestamp < $3 AND d.excluded IS NULL
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
                    FROM %4$s AS d
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
            c.symbol::varchar,
            c.exchange::varchar,
            c.bucket,
            CASE
                WHEN c.stored_trades > c.held THEN 'missing trades'
                WHEN c.stored_trades IS NULL THEN 'missing'
                WHEN c.expected_trades IS NULL THEN 'surplus'
                ELSE 'different'
            END AS problem,
            greatest(c.stored_trades - c.held, 0)::bigint AS missing_trades,
            c.stored,
            c.expected
        FROM counted AS c
        $sql$,
        entasis_internal.shard_of('entasis.ohlcv_1m', symbol_name),
        entasis_internal.shard_of('entasis.ohlcv_1h', symbol_name),
        entasis_internal.shard_of('entasis.ohlcv_1d', symbol_name),
        entasis_internal.shard_of('entasis.market_data', symbol_name)
    ) USING symbol_name, from_day, to_day;
END
$$;

COMMENT ON FUNCTION entasis_internal.candle_faults_of_symbol IS
'Does for check_candles() what concerns one symbol, on the node that has its shards.';
