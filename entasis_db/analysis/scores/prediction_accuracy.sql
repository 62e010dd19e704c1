-- How good the predictions of one model about one symbol are, by type and horizon.
SELECT
    a.prediction_type,
    a.horizon,
    a.predictions,
    a.scored,
    a.hit_rate,
    a.naive_hit_rate,
    a.hit_skill,
    a.brier,
    a.naive_brier,
    a.brier_skill,
    a.measured,
    a.mean_error,
    a.mae,
    a.rmse,
    a.naive_mae,
    a.naive_rmse,
    a.skill
FROM
    entasis.prediction_accuracy(
        %(model_id)s::pg_catalog.text,
        %(symbol)s::pg_catalog.text,
        %(exchange)s::pg_catalog.text,
        %(from_time)s::pg_catalog.timestamptz,
        %(to_time)s::pg_catalog.timestamptz,
        %(lookback)s::interval
    ) AS a
ORDER BY a.prediction_type COLLATE pg_catalog."C", a.horizon;
