-- How often a model was right when it was so certain, by type, horizon and bin of confidence.
SELECT
    c.prediction_type,
    c.horizon,
    c.bin,
    c.from_confidence,
    c.to_confidence,
    c.scored,
    c.mean_confidence,
    c.hit_rate
FROM
    entasis.prediction_calibration(
        %(model_id)s::pg_catalog.text,
        %(symbol)s::pg_catalog.text,
        %(exchange)s::pg_catalog.text,
        %(from_time)s::pg_catalog.timestamptz,
        %(to_time)s::pg_catalog.timestamptz,
        %(bins)s::integer,
        %(lookback)s::interval
    ) AS c
ORDER BY c.prediction_type COLLATE pg_catalog."C", c.horizon, c.bin;
