-- What each model predicts, and from when to when it did.
SELECT
    m.model_id,
    m.symbol,
    m.prediction_type,
    m.first_prediction,
    m.last_prediction
FROM entasis.models() AS m
ORDER BY
    m.model_id COLLATE pg_catalog."C",
    m.symbol COLLATE pg_catalog."C",
    m.prediction_type COLLATE pg_catalog."C";
