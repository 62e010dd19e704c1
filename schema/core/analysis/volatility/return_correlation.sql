CREATE OR REPLACE FUNCTION entasis.return_correlation(
    symbol_name text,
    exchange_name text,
    other_symbol_name text,
    other_exchange_name text,
    candle_interval entasis.candle_interval,
    from_time timestamptz,
    to_time timestamptz
) RETURNS TABLE (
    returns bigint,
    correlation numeric,
    beta numeric
)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT
        v.returns,
        CASE
            WHEN v.are_positive AND v.own > 0 AND v.other > 0
                THEN round(v.shared / sqrt(v.own * v.other), 20)
        END AS correlation,
        CASE WHEN v.are_positive AND v.other > 0 THEN round(v.shared / v.other, 20) END AS beta
    FROM (
        SELECT
            count(l.x) AS returns,
            bool_and(l.is_positive) AS are_positive,
            -- n^2 times covariance and variances, which are exact
            count(l.x) * sum(l.x * l.y) - sum(l.x) * sum(l.y) AS shared,
            count(l.x) * sum(l.x * l.x) - sum(l.x) * sum(l.x) AS own,
            count(l.x) * sum(l.y * l.y) - sum(l.y) * sum(l.y) AS other
        FROM (
            SELECT
                r.close > 0 AND r.other_close > 0 AS is_positive,
                entasis_internal.log_ratio(r.close, r.previous_close) AS x,
                entasis_internal.log_ratio(r.other_close, r.other_previous_close) AS y
            FROM (
                SELECT
                    b.price AS close,
                    b.other_price AS other_close,
                    lag(b.price) OVER (ORDER BY b.bucket) AS previous_close,
                    lag(b.other_price) OVER (ORDER BY b.bucket) AS other_previous_close
                FROM
                    entasis.basis(
                        return_correlation.symbol_name,
                        return_correlation.exchange_name,
                        return_correlation.other_symbol_name,
                        return_correlation.other_exchange_name,
                        return_correlation.candle_interval,
                        return_correlation.from_time,
                        return_correlation.to_time
                    ) AS b
            ) AS r
        ) AS l
    ) AS v;
END;

COMMENT ON FUNCTION entasis.return_correlation IS
'Correlation and beta of the log returns of one market to those of another, over the buckets that begin in [from_time, to_time): always one row. Returns are those between consecutive buckets in which both markets have trades, so that both span the same time. correlation is Pearson''s, from -1 to 1; beta is covariance / variance of the other market''s returns (Sharpe 1964), both without a unit, to 20 decimals. returns says how many went in. NULL where there are fewer than two, where the returns of a market do not differ, and where a price is not above 0, of which there is no logarithm. Reads only the partitions of the range.';
