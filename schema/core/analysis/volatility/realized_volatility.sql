CREATE OR REPLACE FUNCTION entasis.realized_volatility(
    symbol_name text,
    exchange_name text,
    candle_interval entasis.candle_interval,
    from_time timestamptz,
    to_time timestamptz,
    periods_per_year numeric DEFAULT NULL
) RETURNS TABLE (
    candles bigint,
    returns bigint,
    periods_per_year numeric,
    close_to_close numeric,
    parkinson numeric,
    garman_klass numeric,
    yang_zhang numeric
)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT
        v.candles,
        v.returns,
        v.periods_per_year,
        round(sqrt(v.close_to_close * v.periods_per_year), 20) AS close_to_close,
        round(sqrt(v.parkinson * v.periods_per_year), 20) AS parkinson,
        round(sqrt(v.garman_klass * v.periods_per_year), 20) AS garman_klass,
        round(sqrt(v.yang_zhang * v.periods_per_year), 20) AS yang_zhang
    FROM (
        SELECT
            a.candles,
            a.returns,
            coalesce(
                realized_volatility.periods_per_year,
                CASE
                    WHEN realized_volatility.candle_interval = '1mo' THEN 12
                    ELSE
                        31536000.000000000000000000000000000000
                        / extract(
                            EPOCH FROM entasis.candle_step(realized_volatility.candle_interval)
                        )
                END
            ) AS periods_per_year,
            CASE WHEN a.are_positive THEN a.var_return END AS close_to_close,
            -- / (4 ln 2)
            CASE
                WHEN a.are_positive
                    THEN a.sum_range / a.candles / 2.772588722239781237668928485833
            END AS parkinson,
            -- 2 ln 2 - 1
            CASE
                WHEN a.are_positive
                    THEN
                        (0.5 * a.sum_range - 0.386294361119890618834464242916 * a.sum_inside)
                        / a.candles
            END AS garman_klass,
            CASE
                WHEN a.are_positive AND a.returns > 1
                    THEN
                        a.var_overnight
                        + k.k * a.var_inside
                        + (1 - k.k) * a.sum_rogers_satchell / a.returns
            END AS yang_zhang
        FROM (
            SELECT
                count(*) AS candles,
                count(r.previous_close) AS returns,
                bool_and(r.low > 0) AS are_positive,
                var_samp(r.change) AS var_return,
                sum(r.range * r.range) AS sum_range,
                sum(r.inside * r.inside) AS sum_inside,
                var_samp(r.overnight) AS var_overnight,
                var_samp(r.inside) FILTER (WHERE r.previous_close IS NOT NULL) AS var_inside,
                sum(r.up * (r.up - r.inside) + r.down * (r.down - r.inside))
                FILTER (WHERE r.previous_close IS NOT NULL) AS sum_rogers_satchell
            FROM (
                SELECT
                    l.low,
                    l.previous_close,
                    entasis_internal.log_ratio(l.close, l.previous_close) AS change,
                    entasis_internal.log_ratio(l.open, l.previous_close) AS overnight,
                    entasis_internal.log_ratio(l.high, l.low) AS range,
                    entasis_internal.log_ratio(l.close, l.open) AS inside,
                    entasis_internal.log_ratio(l.high, l.open) AS up,
                    entasis_internal.log_ratio(l.low, l.open) AS down
                FROM (
                    SELECT
                        c.open,
                        c.high,
                        c.low,
                        c.close,
                        lag(c.close) OVER (ORDER BY c.bucket) AS previous_close
                    FROM
                        entasis.candles(
                            realized_volatility.symbol_name,
                            realized_volatility.exchange_name,
                            realized_volatility.candle_interval,
                            realized_volatility.from_time,
                            realized_volatility.to_time
                        ) AS c
                ) AS l
            ) AS r
        ) AS a
        CROSS JOIN
            LATERAL (
                SELECT
                    0.340000000000000000000000000000
                    / (
                        1.34
                        + (a.returns + 1.000000000000000000000000000000)
                        / nullif(a.returns - 1, 0)
                    ) AS k
            ) AS k
    ) AS v;
END;

COMMENT ON FUNCTION entasis.realized_volatility IS
'Realised volatility of one market over the candles whose buckets begin in [from_time, to_time): always one row. The four estimates are standard deviations of log returns a year, fractions to 20 decimals: the square root of periods_per_year times a variance a candle. periods_per_year is by default how many intervals 365 days have, 12 for months; with 1 the estimates are those of one interval. close_to_close: sample variance (n - 1) of ln(close / previous close). parkinson (1980): mean of ln(high / low)^2 / (4 ln 2). garman_klass (1980): mean of ln(high / low)^2 / 2 - (2 ln 2 - 1) ln(close / open)^2. yang_zhang (2000): sample variance of ln(open / previous close) + k sample variance of ln(close / open) + (1 - k) the estimate of Rogers and Satchell, over the candles that have one before, with k = 0.34 / (1.34 + (n + 1) / (n - 1)). candles and returns say how many went in. Buckets without a trade do not; a return then spans the gap. NULL where there are too few, and all of them where a price is not above 0, of which there is no logarithm. Reads only the partitions of the range.';
