-- What check_candles() does above the floor, below it: all levels are compared with the trades themselves,
-- because minutes may be gone where hours are still kept. One symbol after the other, each by the node that has it.
CREATE OR REPLACE FUNCTION entasis_internal.candle_faults(
    symbol_name text, exchange_name text, from_time timestamptz, to_time timestamptz
) RETURNS TABLE (
    relation text, symbol text, exchange text, bucket timestamptz, counted bigint, stored bigint,
    candle jsonb, expected jsonb
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
#variable_conflict use_column
DECLARE
    from_day CONSTANT timestamptz := date_trunc('day', candle_faults.from_time);
    to_day CONSTANT timestamptz
        := date_trunc('day', candle_faults.to_time + interval '1 day' - interval '1 microsecond');
    traded record;
BEGIN
    FOR traded IN
        SELECT candle_faults.symbol_name AS symbol WHERE candle_faults.symbol_name IS NOT NULL
        UNION
        SELECT k.symbol::text FROM entasis_internal.known_markets(from_day, to_day) AS k
        WHERE candle_faults.symbol_name IS NULL
        ORDER BY symbol
    LOOP
        RETURN QUERY
        WITH shown AS (
            SELECT
                'ohlcv_1m' AS relation,
                c.*
            FROM entasis.ohlcv_1m AS c WHERE c.symbol = traded.symbol
            UNION ALL
            SELECT
                'ohlcv_1h' AS relation,
                c.*
            FROM entasis.ohlcv_1h AS c WHERE c.symbol = traded.symbol
            UNION ALL
            SELECT
                'ohlcv_1d' AS relation,
                c.*
            FROM entasis.ohlcv_1d AS c WHERE c.symbol = traded.symbol
        ),

        shown_in_range AS (
            SELECT s.*
            FROM shown AS s
            WHERE
                s.bucket >= from_day
                AND s.bucket < to_day
                AND (candle_faults.symbol_name IS NULL OR s.exchange = candle_faults.exchange_name)
        ),

        grouped AS (
            SELECT
                l.relation,
                d.symbol,
                d.exchange,
                date_bin(l.step, d.timestamp, '2000-01-01 00:00:00+00'::timestamptz) AS bucket,
                min(entasis_internal.trade_order(d.timestamp, d.id, d.price)) AS opening,
                max(d.price) AS high,
                min(d.price) AS low,
                max(entasis_internal.trade_order(d.timestamp, d.id, d.price)) AS closing,
                sum(d.volume) AS volume,
                sum(d.price * d.volume) AS quote_volume,
                count(*) AS trades,
                min(d.timestamp) AS opened_at,
                max(d.timestamp) AS closed_at
            FROM entasis.market_data AS d
            CROSS JOIN (
                VALUES
                ('ohlcv_1m', interval '1 minute'),
                ('ohlcv_1h', interval '1 hour'),
                ('ohlcv_1d', interval '1 day')
            ) AS l (relation, step)
            WHERE
                d.symbol = traded.symbol
                AND d.timestamp >= from_day
                AND d.timestamp < to_day
                AND d.excluded IS NULL
                AND (candle_faults.symbol_name IS NULL OR d.exchange = candle_faults.exchange_name)
            GROUP BY 1, 2, 3, 4
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
        )

        SELECT
            coalesce(s.relation, e.relation),
            coalesce(s.symbol, e.symbol)::text,
            coalesce(s.exchange, e.exchange)::text,
            coalesce(s.bucket, e.bucket),
            coalesce(s.trades, 0) AS counted,
            coalesce(e.trades, 0) AS stored,
            CASE WHEN s.trades IS NOT NULL THEN to_jsonb(s) END AS candle,
            CASE WHEN e.trades IS NOT NULL THEN to_jsonb(e) END AS expected
        FROM shown_in_range AS s
        FULL OUTER JOIN computed AS e USING (relation, symbol, exchange, bucket)
        WHERE
            (
                s.open, s.high, s.low, s.close, s.volume, s.quote_volume, s.trades,
                s.opened_at, s.first_trade_id, s.closed_at, s.last_trade_id
            ) IS DISTINCT FROM (
                e.open, e.high, e.low, e.close, e.volume, e.quote_volume, e.trades,
                e.opened_at, e.first_trade_id, e.closed_at, e.last_trade_id
            );
    END LOOP;
END
$$;

COMMENT ON FUNCTION entasis_internal.candle_faults IS
'Candles of the UTC days that overlap [from_time, to_time), below the floor too, that do not equal their trades, of one market or, with symbol_name NULL, of all. counted is the number of trades that the candle counts, stored how many are stored: if fewer are, trades are missing. candle is what is stored, expected what the trades make, NULL: none.';
