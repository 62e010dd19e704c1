CREATE OR REPLACE FUNCTION entasis.drawdown(
    symbol_name text,
    exchange_name text,
    candle_interval entasis.candle_interval,
    from_time timestamptz,
    to_time timestamptz
) RETURNS TABLE (
    bucket timestamptz,
    close numeric,
    peak numeric,
    peak_at timestamptz,
    drawdown numeric
)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
BEGIN ATOMIC
    SELECT
        p.bucket,
        p.close,
        p.peak,
        min(p.bucket) OVER (PARTITION BY p.peak) AS peak_at,
        CASE
            WHEN p.peak > 0 THEN (p.close - p.peak + 0.000000000000000000000000) / p.peak
        END AS drawdown
    FROM (
        SELECT
            c.bucket,
            c.close,
            max(c.close) OVER (ORDER BY c.bucket) AS peak
        FROM
            entasis.candles(
                drawdown.symbol_name,
                drawdown.exchange_name,
                drawdown.candle_interval,
                drawdown.from_time,
                drawdown.to_time
            ) AS c
    ) AS p;
END;

COMMENT ON FUNCTION entasis.drawdown IS
'Drawdown of one market from candle to candle, of those whose buckets begin in [from_time, to_time). peak is the highest close of the range so far, in quote units, peak_at the bucket in which it was first reached; drawdown is close / peak - 1, a fraction to at least 24 decimals, 0 or below, NULL where peak is not above 0. The maximum drawdown of the range is min(drawdown). Ordered only if the query says so. Reads only the partitions of the range.';
