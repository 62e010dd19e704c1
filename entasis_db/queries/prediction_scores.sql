-- The predictions of one model with what then happened on one exchange. The function is inlined here, so that the
-- index gives their order.
SELECT
    s.id,
    s.model_id,
    s.symbol,
    s.prediction_type,
    s.predicted_value,
    s.confidence,
    s.timestamp,
    s.target_time,
    s.base_price,
    s.target_price,
    s.actual_value,
    s.error,
    s.hit
FROM
    entasis.prediction_scores(
        %(model_id)s::pg_catalog.text,
        %(symbol)s::pg_catalog.text,
        %(exchange)s::pg_catalog.text,
        %(from_time)s::pg_catalog.timestamptz,
        %(to_time)s::pg_catalog.timestamptz,
        %(lookback)s::interval
    ) AS s
ORDER BY s.timestamp, s.id;
