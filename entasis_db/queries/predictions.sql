-- What one model predicted of one symbol in [from_time, to_time), in the order in which it did.
SELECT
    p.id,
    p.model_id,
    p.symbol,
    p.prediction_type,
    p.predicted_value,
    p.confidence,
    p.timestamp,
    p.target_time
FROM entasis.predictions AS p
WHERE
    p.model_id OPERATOR(pg_catalog.=) %(model_id)s::pg_catalog.text
    AND p.symbol OPERATOR(pg_catalog.=) %(symbol)s::pg_catalog.text
    AND p.timestamp OPERATOR(pg_catalog.>=) %(from_time)s::pg_catalog.timestamptz
    AND p.timestamp OPERATOR(pg_catalog.<) %(to_time)s::pg_catalog.timestamptz
ORDER BY p.timestamp, p.id;
