-- How the price moved after each prediction of one model.
SELECT
    q.timestamp,
    q.id,
    q.prediction_type,
    q.predicted_value,
    q.confidence,
    q.price,
    q.horizon,
    q.moment,
    q.price_then,
    q.traded_at,
    q.direction,
    q.move,
    q.markout,
    q.markout_return
FROM
    entasis.prediction_markouts(
        %(model_id)s::pg_catalog.text,
        %(symbol)s::pg_catalog.text,
        %(exchange)s::pg_catalog.text,
        %(horizons)s::interval[],
        %(from_time)s::pg_catalog.timestamptz,
        %(to_time)s::pg_catalog.timestamptz,
        %(max_age)s::interval
    ) AS q
ORDER BY q.timestamp, q.id, q.horizon;
