-- One branch for each relation that candles come from, exchange_candles the last. The function has no
-- settings, so that it is inlined into the caller's query, where the planner removes all branches but one. A bucket
-- belongs to the range that it starts in, so the parts of a derived candle are read up to the end of its
-- bucket.
-- The stored branches have an ORDER BY, because UNION ALL would otherwise be sorted as a whole; the derived
-- ones test the interval outside the subquery, because only then does the planner remove a branch that
-- groups. A derived bucket that starts below the floor of its source is known in part only and has no row. The
-- floor is a subquery in HAVING, so that it is read once and compared with buckets, not with their parts.
-- Candles of hours and days have the columns of minutes.
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
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
BEGIN ATOMIC
    (
        SELECT
            c.symbol,
            c.exchange,
            c.bucket,
            c.open,
            c.high,
            c.low,
            c.close,
            c.volume,
            c.quote_volume,
            c.trades,
            c.opened_at,
            c.first_trade_id,
            c.closed_at,
            c.last_trade_id
        FROM entasis.ohlcv_1m AS c
        WHERE
            read_candles.candle_interval = '1m' AND read_candles.source = 'trades'
            AND c.symbol = read_candles.symbol_name
            AND c.exchange = read_candles.exchange_name
            AND c.bucket >= read_candles.from_time
            AND c.bucket < read_candles.to_time
        ORDER BY c.bucket
    )
    UNION ALL
    (
        SELECT c.* -- noqa: AM04
        FROM entasis.ohlcv_1h AS c
        WHERE
            read_candles.candle_interval = '1h' AND read_candles.source = 'trades'
            AND c.symbol = read_candles.symbol_name
            AND c.exchange = read_candles.exchange_name
            AND c.bucket >= read_candles.from_time
            AND c.bucket < read_candles.to_time
        ORDER BY c.bucket
    )
    UNION ALL
    (
        SELECT c.* -- noqa: AM04
        FROM entasis.ohlcv_1d AS c
        WHERE
            read_candles.candle_interval = '1d' AND read_candles.source = 'trades'
            AND c.symbol = read_candles.symbol_name
            AND c.exchange = read_candles.exchange_name
            AND c.bucket >= read_candles.from_time
            AND c.bucket < read_candles.to_time
        ORDER BY c.bucket
    )
    UNION ALL
    SELECT g.*
    FROM (
        SELECT
            c.symbol,
            c.exchange,
            entasis.candle_bucket(read_candles.candle_interval, c.bucket) AS bucket,
            (min(entasis_internal.trade_order(c.opened_at, c.first_trade_id, c.open)))[3] AS open,
            max(c.high) AS high,
            min(c.low) AS low,
            (max(entasis_internal.trade_order(c.closed_at, c.last_trade_id, c.close)))[3] AS close,
            sum(c.volume) AS volume,
            sum(c.quote_volume) AS quote_volume,
            sum(c.trades)::bigint AS trades,
            min(c.opened_at) AS opened_at,
            (min(entasis_internal.trade_order(c.opened_at, c.first_trade_id, c.open)))[2]::bigint
                AS first_trade_id,
            max(c.closed_at) AS closed_at,
            (max(entasis_internal.trade_order(c.closed_at, c.last_trade_id, c.close)))[2]::bigint
                AS last_trade_id
        FROM entasis.ohlcv_1m AS c
        WHERE
            c.symbol = read_candles.symbol_name
            AND c.exchange = read_candles.exchange_name
            AND c.bucket
            >= entasis.candle_bucket_from(read_candles.candle_interval, read_candles.from_time)
            AND c.bucket
            < entasis.candle_bucket_from(read_candles.candle_interval, read_candles.to_time)
        GROUP BY c.symbol, c.exchange, entasis.candle_bucket(read_candles.candle_interval, c.bucket)
        HAVING
            entasis.candle_bucket(read_candles.candle_interval, c.bucket)
            >= (SELECT entasis_internal.candles_known_from(read_candles.candle_interval))
            OR entasis_internal.is_known_below_floor(
                read_candles.candle_interval,
                c.symbol,
                c.exchange,
                entasis.candle_bucket(read_candles.candle_interval, c.bucket)
            )
    ) AS g
    WHERE read_candles.candle_interval IN ('5m', '15m', '30m') AND read_candles.source = 'trades'
    UNION ALL
    SELECT g.*
    FROM (
        SELECT
            c.symbol,
            c.exchange,
            entasis.candle_bucket(read_candles.candle_interval, c.bucket) AS bucket,
            (min(entasis_internal.trade_order(c.opened_at, c.first_trade_id, c.open)))[3] AS open,
            max(c.high) AS high,
            min(c.low) AS low,
            (max(entasis_internal.trade_order(c.closed_at, c.last_trade_id, c.close)))[3] AS close,
            sum(c.volume) AS volume,
            sum(c.quote_volume) AS quote_volume,
            sum(c.trades)::bigint AS trades,
            min(c.opened_at) AS opened_at,
            (min(entasis_internal.trade_order(c.opened_at, c.first_trade_id, c.open)))[2]::bigint
                AS first_trade_id,
            max(c.closed_at) AS closed_at,
            (max(entasis_internal.trade_order(c.closed_at, c.last_trade_id, c.close)))[2]::bigint
                AS last_trade_id
        FROM entasis.ohlcv_1h AS c
        WHERE
            c.symbol = read_candles.symbol_name
            AND c.exchange = read_candles.exchange_name
            AND c.bucket
            >= entasis.candle_bucket_from(read_candles.candle_interval, read_candles.from_time)
            AND c.bucket
            < entasis.candle_bucket_from(read_candles.candle_interval, read_candles.to_time)
        GROUP BY c.symbol, c.exchange, entasis.candle_bucket(read_candles.candle_interval, c.bucket)
        HAVING
            entasis.candle_bucket(read_candles.candle_interval, c.bucket)
            >= (SELECT entasis_internal.candles_known_from(read_candles.candle_interval))
            OR entasis_internal.is_known_below_floor(
                read_candles.candle_interval,
                c.symbol,
                c.exchange,
                entasis.candle_bucket(read_candles.candle_interval, c.bucket)
            )
    ) AS g
    WHERE read_candles.candle_interval = '4h' AND read_candles.source = 'trades'
    UNION ALL
    SELECT g.*
    FROM (
        SELECT
            c.symbol,
            c.exchange,
            entasis.candle_bucket(read_candles.candle_interval, c.bucket) AS bucket,
            (min(entasis_internal.trade_order(c.opened_at, c.first_trade_id, c.open)))[3] AS open,
            max(c.high) AS high,
            min(c.low) AS low,
            (max(entasis_internal.trade_order(c.closed_at, c.last_trade_id, c.close)))[3] AS close,
            sum(c.volume) AS volume,
            sum(c.quote_volume) AS quote_volume,
            sum(c.trades)::bigint AS trades,
            min(c.opened_at) AS opened_at,
            (min(entasis_internal.trade_order(c.opened_at, c.first_trade_id, c.open)))[2]::bigint
                AS first_trade_id,
            max(c.closed_at) AS closed_at,
            (max(entasis_internal.trade_order(c.closed_at, c.last_trade_id, c.close)))[2]::bigint
                AS last_trade_id
        FROM entasis.ohlcv_1d AS c
        WHERE
            c.symbol = read_candles.symbol_name
            AND c.exchange = read_candles.exchange_name
            AND c.bucket
            >= entasis.candle_bucket_from(read_candles.candle_interval, read_candles.from_time)
            AND c.bucket
            < entasis.candle_bucket_from(read_candles.candle_interval, read_candles.to_time)
        GROUP BY c.symbol, c.exchange, entasis.candle_bucket(read_candles.candle_interval, c.bucket)
        HAVING
            entasis.candle_bucket(read_candles.candle_interval, c.bucket)
            >= (SELECT entasis_internal.candles_known_from(read_candles.candle_interval))
            OR entasis_internal.is_known_below_floor(
                read_candles.candle_interval,
                c.symbol,
                c.exchange,
                entasis.candle_bucket(read_candles.candle_interval, c.bucket)
            )
    ) AS g
    WHERE read_candles.candle_interval IN ('1w', '1mo') AND read_candles.source = 'trades'
    UNION ALL
    (
        SELECT
            e.symbol,
            e.exchange,
            e.bucket,
            e.open,
            e.high,
            e.low,
            e.close,
            e.volume,
            e.quote_volume,
            e.trades,
            NULL::timestamptz AS opened_at,
            NULL::bigint AS first_trade_id,
            NULL::timestamptz AS closed_at,
            NULL::bigint AS last_trade_id
        FROM entasis.exchange_candles AS e
        WHERE
            read_candles.source = 'exchange'
            AND e.symbol = read_candles.symbol_name
            AND e.exchange = read_candles.exchange_name
            AND e.interval = read_candles.candle_interval::text
            AND e.bucket >= read_candles.from_time
            AND e.bucket < read_candles.to_time
        ORDER BY e.bucket
    );
END;

COMMENT ON FUNCTION entasis_internal.read_candles IS
'Candles of one market whose buckets start in [from_time, to_time), as they are stored or computed from stored ones: what candles() adds columns to.';
