CREATE OR REPLACE FUNCTION entasis.candles_of_width(
    symbol_name text,
    exchange_name text,
    width interval,
    from_time timestamptz,
    to_time timestamptz,
    origin timestamp DEFAULT NULL,
    zone text DEFAULT 'UTC'
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
    last_trade_id bigint,
    turnover numeric,
    vwap numeric
)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
BEGIN ATOMIC
    SELECT
        c.symbol,
        c.exchange,
        c.bucket,
        c.ends_at,
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
        c.last_trade_id,
        coalesce(
            c.volume * (
                SELECT r.per_volume
                FROM
                    entasis_internal.turnover_rates(
                        candles_of_width.symbol_name, candles_of_width.exchange_name
                    ) AS r
            ),
            c.quote_volume * (
                SELECT r.per_quote_volume
                FROM
                    entasis_internal.turnover_rates(
                        candles_of_width.symbol_name, candles_of_width.exchange_name
                    ) AS r
            )
        ) AS turnover,
        c.quote_volume / nullif(c.volume, 0) AS vwap
    FROM
        entasis_internal.width_ranges(
            candles_of_width.width,
            candles_of_width.from_time,
            candles_of_width.to_time,
            -- a Monday, or the first of a month
            coalesce(
                candles_of_width.origin,
                CASE
                    WHEN
                        extract(YEAR FROM candles_of_width.width) > 0
                        OR extract(MONTH FROM candles_of_width.width) > 0
                        THEN '2000-01-01'::timestamp
                    ELSE '2000-01-03'::timestamp
                END
            ),
            candles_of_width.zone
        ) AS w
    CROSS JOIN LATERAL entasis_internal.merged_minutes(
        candles_of_width.symbol_name, candles_of_width.exchange_name, w.from_time, w.to_time, w.step
    ) AS c;
END;

COMMENT ON FUNCTION entasis.candles_of_width IS
'Candles of one market, of any width, whose buckets [bucket, ends_at) begin in [from_time, to_time), from the stored minutes. A width of minutes and hours is exactly as long, counted from origin; one of days or of months follows the clock of zone, so that a day may have 23 or 25 hours. origin is a time on that clock, by default 2000-01-03 00:00, a Monday, and 2000-01-01 for months. Where the clock is put back a bucket begins at the first of two moments, where its beginning is skipped at the change. The columns are those of candles(), in the same units; a bucket without a trade has no row, nor has one that begins below the floor of minutes. Widths that are not whole minutes, or mix minutes, days and months, raise invalid_parameter_value. Ordered only if the query says so. Reads only the partitions of the range.';
