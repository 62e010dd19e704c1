-- Without settings, so that it is inlined.
CREATE OR REPLACE FUNCTION entasis.prediction_calibration(
    model_name text,
    symbol_name text,
    exchange_name text,
    from_time timestamptz,
    to_time timestamptz DEFAULT now() + interval '1 day',
    bins integer DEFAULT 10,
    lookback interval DEFAULT interval '1 day'
) RETURNS TABLE (
    prediction_type varchar,
    horizon interval,
    bin integer,
    from_confidence numeric,
    to_confidence numeric,
    scored bigint,
    mean_confidence numeric,
    hit_rate numeric
)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 50
BEGIN ATOMIC
    SELECT
        g.prediction_type,
        g.horizon,
        g.bin,
        (g.bin - 1)::numeric / prediction_calibration.bins AS from_confidence,
        g.bin::numeric / prediction_calibration.bins AS to_confidence,
        g.scored,
        g.confidences / g.scored AS mean_confidence,
        g.hits / g.scored AS hit_rate
    FROM (
        SELECT
            s.prediction_type,
            s.target_time - s.timestamp AS horizon,
            -- a confidence of 1 is in the last bin
            least(
                floor(s.confidence * prediction_calibration.bins)::integer + 1,
                prediction_calibration.bins
            ) AS bin,
            count(*) AS scored,
            sum(s.confidence) AS confidences,
            (count(*) FILTER (WHERE s.hit))::numeric AS hits
        FROM
            entasis.prediction_scores(
                prediction_calibration.model_name,
                prediction_calibration.symbol_name,
                prediction_calibration.exchange_name,
                prediction_calibration.from_time,
                prediction_calibration.to_time,
                prediction_calibration.lookback
            ) AS s
        WHERE s.hit IS NOT NULL AND prediction_calibration.bins > 0
        GROUP BY 1, 2, 3
    ) AS g;
END;

COMMENT ON FUNCTION entasis.prediction_calibration IS
'How often a model was right when it was so certain: of the predictions of prediction_accuracy() that are scored, by type and horizon, the mean confidence and the share of hits in each of so many equal bins of confidence. bin, from 1, holds confidences in [from_confidence, to_confidence), the last one 1 too; one without a prediction has no row, nor has any where bins is below 1. Of a model that is calibrated, mean_confidence and hit_rate differ by chance only. Quotients are rounded half away from zero to at least 16 significant digits. Ordered only if the query says so.';
