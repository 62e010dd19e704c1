-- The floor is a subquery in HAVING, so that it is read once and compared with buckets, not with their minutes.
CREATE OR REPLACE FUNCTION entasis_internal.merged_minutes(
    symbol_name text,
    exchange_name text,
    from_time timestamptz,
    to_time timestamptz,
    step interval
) RETURNS TABLE (
    symbol varchar,
    exchange varchar,
    bucket timestamptz,
    ends_at timestamptz,
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
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10
BEGIN ATOMIC
    SELECT
        g.symbol,
        g.exchange,
        g.bucket,
        coalesce(
            least(
                (g.bucket AT TIME ZONE 'UTC' + merged_minutes.step) AT TIME ZONE 'UTC',
                merged_minutes.to_time
            ),
            merged_minutes.to_time
        ) AS ends_at,
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
    FROM (
        SELECT
            c.symbol,
            c.exchange,
            coalesce(
                date_bin(merged_minutes.step, c.bucket, merged_minutes.from_time),
                merged_minutes.from_time
            ) AS bucket,
            min(entasis_internal.trade_order(c.opened_at, c.first_trade_id, c.open)) AS opening,
            max(c.high) AS high,
            min(c.low) AS low,
            max(entasis_internal.trade_order(c.closed_at, c.last_trade_id, c.close)) AS closing,
            sum(c.volume) AS volume,
            sum(c.quote_volume) AS quote_volume,
            sum(c.trades)::bigint AS trades,
            min(c.opened_at) AS opened_at,
            max(c.closed_at) AS closed_at
        FROM entasis.ohlcv_1m AS c
        WHERE
            c.symbol = merged_minutes.symbol_name
            AND c.exchange = merged_minutes.exchange_name
            AND c.bucket >= merged_minutes.from_time
            AND c.bucket < merged_minutes.to_time
        GROUP BY 1, 2, 3
    ) AS g
    WHERE
        g.bucket >= (SELECT entasis_internal.candles_known_from('1m'))
        OR entasis_internal.is_known_below_floor(
            '1m',
            merged_minutes.symbol_name,
            merged_minutes.exchange_name,
            g.bucket,
            coalesce(
                least(
                    (g.bucket AT TIME ZONE 'UTC' + merged_minutes.step) AT TIME ZONE 'UTC',
                    merged_minutes.to_time
                ),
                merged_minutes.to_time
            )
        );
END;

COMMENT ON FUNCTION entasis_internal.merged_minutes IS
'The minutes of one market in [from_time, to_time) merged into candles of a step, counted from from_time, the last of which ends at to_time; without a step into one. One that begins below the floor of minutes and is not known whole has no row.';
