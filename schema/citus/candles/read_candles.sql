-- One statement of one relation and one symbol, which the node that has it answers as a whole.
CREATE OR REPLACE FUNCTION entasis_internal.read_candles(
    symbol_name text,
    exchange_name text,
    candle_interval entasis.candle_interval,
    from_time timestamptz,
    to_time timestamptz,
    source entasis.candle_source
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
    last_trade_id bigint
)
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1000
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    level CONSTANT text := entasis_internal.stored_level(read_candles.candle_interval);
    known_from timestamptz;
    candle record;
BEGIN
    IF read_candles.source = 'exchange' THEN
        RETURN QUERY
        SELECT
            e.symbol, e.exchange, e.bucket, e.open, e.high, e.low, e.close, e.volume,
            e.quote_volume, e.trades,
            NULL::timestamptz, NULL::bigint, NULL::timestamptz, NULL::bigint
        FROM entasis.exchange_candles AS e
        WHERE
            e.symbol = read_candles.symbol_name
            AND e.exchange = read_candles.exchange_name
            AND e.interval = read_candles.candle_interval::text
            AND e.bucket >= read_candles.from_time
            AND e.bucket < read_candles.to_time
        ORDER BY e.bucket;
        RETURN;
    END IF;
    IF level = 'ohlcv_' || read_candles.candle_interval THEN
        RETURN QUERY EXECUTE format(
            'SELECT c.* FROM entasis.%I AS c WHERE c.symbol = $1 AND c.exchange = $2'
            ' AND c.bucket >= $3 AND c.bucket < $4 ORDER BY c.bucket',
            level
        ) USING symbol_name, exchange_name, read_candles.from_time, read_candles.to_time;
        RETURN;
    END IF;
    known_from := entasis_internal.candles_known_from(read_candles.candle_interval);
    FOR candle IN EXECUTE format(
        $sql$
        SELECT
            c.symbol,
            c.exchange,
            entasis.candle_bucket($3, c.bucket) AS bucket,
            min(entasis_internal.trade_order(c.opened_at, c.first_trade_id, c.open)) AS opening,
            max(c.high) AS high,
            min(c.low) AS low,
            max(entasis_internal.trade_order(c.closed_at, c.last_trade_id, c.close)) AS closing,
            sum(c.volume) AS volume,
            sum(c.quote_volume) AS quote_volume,
            sum(c.trades)::bigint AS trades,
            min(c.opened_at) AS opened_at,
            max(c.closed_at) AS closed_at
        FROM entasis.%I AS c
        WHERE c.symbol = $1 AND c.exchange = $2 AND c.bucket >= $4 AND c.bucket < $5
        GROUP BY c.symbol, c.exchange, entasis.candle_bucket($3, c.bucket)
        $sql$,
        level
    ) USING
        symbol_name, exchange_name, read_candles.candle_interval,
        entasis.candle_bucket_from(read_candles.candle_interval, read_candles.from_time),
        entasis.candle_bucket_from(read_candles.candle_interval, read_candles.to_time)
    LOOP
        CONTINUE WHEN candle.bucket < known_from AND NOT entasis_internal.is_known_below_floor(
            read_candles.candle_interval, candle.symbol, candle.exchange, candle.bucket
        );
        symbol := candle.symbol;
        exchange := candle.exchange;
        bucket := candle.bucket;
        open := candle.opening[3];
        high := candle.high;
        low := candle.low;
        close := candle.closing[3];
        volume := candle.volume;
        quote_volume := candle.quote_volume;
        trades := candle.trades;
        opened_at := candle.opened_at;
        first_trade_id := candle.opening[2];
        closed_at := candle.closed_at;
        last_trade_id := candle.closing[2];
        RETURN NEXT;
    END LOOP;
END
$$;

COMMENT ON FUNCTION entasis_internal.read_candles IS
'Candles of one market whose buckets start in [from_time, to_time), as they are stored or computed from stored ones: what candles() adds columns to.';
