CREATE OR REPLACE FUNCTION entasis.returns(
    symbol_name text,
    exchange_name text,
    candle_interval entasis.candle_interval,
    from_time timestamptz,
    to_time timestamptz
) RETURNS TABLE (
    bucket timestamptz,
    close numeric,
    previous_close numeric,
    simple_return numeric,
    log_return numeric
)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
BEGIN ATOMIC
    SELECT
        r.bucket,
        r.close,
        r.previous_close,
        CASE
            WHEN r.previous_close > 0
                THEN
                    (r.close - r.previous_close + 0.000000000000000000000000) / r.previous_close
        END AS simple_return,
        entasis_internal.log_ratio(r.close, r.previous_close) AS log_return
    FROM (
        SELECT
            c.bucket,
            c.close,
            lag(c.close) OVER (ORDER BY c.bucket) AS previous_close
        FROM
            entasis.candles(
                returns.symbol_name,
                returns.exchange_name,
                returns.candle_interval,
                returns.from_time,
                returns.to_time
            ) AS c
    ) AS r;
END;

COMMENT ON FUNCTION entasis.returns IS
'Returns of one market from candle to candle, of those whose buckets begin in [from_time, to_time). previous_close is the close of the candle before, over any gap, in quote units; the first candle of the range has none. simple_return is close / previous_close - 1, a fraction to at least 24 decimals; log_return is ln(close / previous_close), to 24 decimals. Both are NULL for the first candle; simple_return where previous_close is not above 0, log_return where one of the prices is not: a ratio to 0 or below says nothing. Ordered only if the query says so. Reads only the partitions of the range.';
