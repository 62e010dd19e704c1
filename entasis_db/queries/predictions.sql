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
    p.model_id = %(model_id)s::text
    AND p.symbol = %(symbol)s::text
    AND p.timestamp >= %(from_time)s::timestamptz
    AND p.timestamp < %(to_time)s::timestamptz
ORDER BY p.timestamp, p.id;
