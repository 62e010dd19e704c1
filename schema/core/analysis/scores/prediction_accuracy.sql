-- Without settings, so that it is inlined.
CREATE OR REPLACE FUNCTION entasis.prediction_accuracy(
    model_name text,
    symbol_name text,
    exchange_name text,
    from_time timestamptz,
    to_time timestamptz DEFAULT now() + interval '1 day',
    lookback interval DEFAULT interval '1 day'
) RETURNS TABLE (
    prediction_type varchar,
    horizon interval,
    predictions bigint,
    scored bigint,
    hit_rate numeric,
    naive_hit_rate numeric,
    hit_skill numeric,
    brier numeric,
    naive_brier numeric,
    brier_skill numeric,
    measured bigint,
    mean_error numeric,
    mae numeric,
    rmse numeric,
    naive_mae numeric,
    naive_rmse numeric,
    skill numeric
)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 20
BEGIN ATOMIC
    SELECT
        g.prediction_type,
        g.horizon,
        g.predictions,
        g.scored,
        g.hits / nullif(g.scored, 0) AS hit_rate,
        g.most / nullif(g.scored, 0) AS naive_hit_rate,
        (g.hits - g.most) / nullif(g.scored - g.most, 0) AS hit_skill,
        g.brier_sum / nullif(g.scored, 0) AS brier,
        g.hits * (g.scored - g.hits) / nullif(g.scored * g.scored, 0) AS naive_brier,
        1 - g.brier_sum * g.scored / nullif(g.hits * (g.scored - g.hits), 0) AS brier_skill,
        g.measured,
        g.errors / nullif(g.measured, 0) AS mean_error,
        g.absolute / nullif(g.measured, 0) AS mae,
        sqrt(g.squares / nullif(g.measured, 0)) AS rmse,
        g.naive_absolute / nullif(g.measured, 0) AS naive_mae,
        sqrt(g.naive_squares / nullif(g.measured, 0)) AS naive_rmse,
        1 - g.squares / nullif(g.naive_squares, 0) AS skill
    FROM (
        SELECT
            s.prediction_type,
            s.target_time - s.timestamp AS horizon,
            count(*) AS predictions,
            count(s.hit) AS scored,
            (count(*) FILTER (WHERE s.hit))::numeric AS hits,
            greatest(
                count(*) FILTER (WHERE s.hit IS NOT NULL AND s.target_price > s.base_price),
                count(*) FILTER (WHERE s.hit IS NOT NULL AND s.target_price < s.base_price),
                count(*) FILTER (WHERE s.hit IS NOT NULL AND s.target_price = s.base_price)
            )::numeric AS most,
            sum((s.confidence - s.hit::integer) * (s.confidence - s.hit::integer)) AS brier_sum,
            count(n.error) AS measured,
            sum(n.error) AS errors,
            sum(abs(n.error)) AS absolute,
            sum(n.error * n.error) AS squares,
            sum(abs(n.naive)) AS naive_absolute,
            sum(n.naive * n.naive) AS naive_squares
        FROM
            entasis.prediction_scores(
                prediction_accuracy.model_name,
                prediction_accuracy.symbol_name,
                prediction_accuracy.exchange_name,
                prediction_accuracy.from_time,
                prediction_accuracy.to_time,
                prediction_accuracy.lookback
            ) AS s
        CROSS JOIN
            LATERAL (
                SELECT
                    -- where both prices are known, so that both forecasts are measured on the same
                    CASE WHEN s.hit IS NOT NULL THEN s.error END AS error,
                    CASE s.prediction_type
                        WHEN 'price' THEN s.base_price - s.target_price
                        WHEN 'return' THEN -s.actual_value
                    END AS naive
            ) AS n
        GROUP BY s.prediction_type, s.target_time - s.timestamp
    ) AS g;
END;

COMMENT ON FUNCTION entasis.prediction_accuracy IS
'How good the predictions of one model about one symbol are that were made in [from_time, to_time), by type and horizon: what became of them is that of prediction_scores(). horizon is target_time - timestamp, NULL where no target_time was stated. predictions is how many there are; scored how many have a hit, so both prices; measured how many of these have an error too. hit_rate is the share of hits; naive_hit_rate what always naming the most frequent side (up, down or none) would have hit, which is known only afterwards; hit_skill is (hit_rate - naive_hit_rate) / (1 - naive_hit_rate). brier is the mean of (confidence - hit) ^ 2, hit being 1 or 0; naive_brier that of always being as certain as hit_rate, hit_rate * (1 - hit_rate); brier_skill is 1 - brier / naive_brier. mean_error, mae and rmse are the mean of error, of its absolute and the root of the mean of its square, in the unit of prediction_type; naive_mae and naive_rmse those of the naive forecast: of a price the price at timestamp, of a return 0; of others NULL. skill is 1 - (rmse / naive_rmse) ^ 2. Skills are 1 at best, 0 if no better than the naive forecast. NULL where there is nothing to divide by. Quotients and roots are rounded half away from zero to at least 16 significant digits. Ordered only if the query says so.';
