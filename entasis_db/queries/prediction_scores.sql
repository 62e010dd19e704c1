-- The predictions of one model with what then happened on one exchange. The price at a moment is the
-- close of the newest stored minute whose last trade was made in (moment - lookback, moment]. A moment
-- that is still to come has no price: the last known one is not what will happen.
-- Bounds on the bucket come first, because they are what the key's index and the partitions know: the
-- minute that holds the moment may close after it, and then the one before it counts.
-- Bounds on the bucket by the range of the predictions follow from the others: with them partitions outside are not
-- even planned.
-- Arithmetic is on UTC's own clock: in a zone with summer time a day may have 23 or 25 hours.
SELECT
    p.id,
    p.model_id,
    p.symbol,
    p.prediction_type,
    p.predicted_value,
    p.confidence,
    p.timestamp,
    p.target_time,
    base.price AS base_price,
    target.price AS target_price,
    happened.actual_value,
    p.predicted_value - happened.actual_value AS error,
    CASE p.prediction_type
        WHEN 'direction' THEN sign(p.predicted_value) = sign(target.price - base.price)
        WHEN 'return' THEN sign(p.predicted_value) = sign(target.price - base.price)
        WHEN 'price' THEN sign(p.predicted_value - base.price) = sign(target.price - base.price)
    END AS hit
FROM entasis.predictions AS p
LEFT JOIN LATERAL (
    SELECT c.close AS price
    FROM entasis.ohlcv_1m AS c
    WHERE
        c.symbol = p.symbol
        AND c.exchange = %(exchange)s::text
        AND c.bucket <= p.timestamp
        AND c.bucket > (
            p.timestamp AT TIME ZONE 'UTC' - %(lookback)s::interval - interval '1 minute'
        ) AT TIME ZONE 'UTC'
        AND c.bucket > (
            %(from_time)s::timestamptz AT TIME ZONE 'UTC' - %(lookback)s::interval
            - interval '1 minute'
        ) AT TIME ZONE 'UTC'
        AND c.bucket < %(to_time)s::timestamptz
        AND c.closed_at <= p.timestamp
        AND c.closed_at
        > (p.timestamp AT TIME ZONE 'UTC' - %(lookback)s::interval) AT TIME ZONE 'UTC'
    ORDER BY c.bucket DESC
    LIMIT 1
) AS base ON true
LEFT JOIN LATERAL (
    SELECT c.close AS price
    FROM entasis.ohlcv_1m AS c
    WHERE
        p.target_time <= now()
        AND c.symbol = p.symbol
        AND c.exchange = %(exchange)s::text
        AND c.bucket <= p.target_time
        AND c.bucket > (
            p.target_time AT TIME ZONE 'UTC' - %(lookback)s::interval - interval '1 minute'
        ) AT TIME ZONE 'UTC'
        AND c.bucket > (
            %(from_time)s::timestamptz AT TIME ZONE 'UTC' - %(lookback)s::interval
            - interval '1 minute'
        ) AT TIME ZONE 'UTC'
        AND c.closed_at <= p.target_time
        AND c.closed_at
        > (p.target_time AT TIME ZONE 'UTC' - %(lookback)s::interval) AT TIME ZONE 'UTC'
    ORDER BY c.bucket DESC
    LIMIT 1
) AS target ON true
CROSS JOIN
    LATERAL (
        SELECT
            CASE p.prediction_type
                WHEN 'price' THEN target.price
                -- as target / base - 1, with the digits of the division spent on the difference
                -- of a price at zero or below (spreads) there is none
                WHEN 'return'
                    THEN
                        CASE
                            WHEN base.price > 0 THEN (target.price - base.price) / base.price
                        END
                WHEN 'direction' THEN sign(target.price - base.price)
            END AS actual_value
    ) AS happened
WHERE
    p.model_id = %(model_id)s::text
    AND p.symbol = %(symbol)s::text
    AND p.timestamp >= %(from_time)s::timestamptz
    AND p.timestamp < %(to_time)s::timestamptz
ORDER BY p.timestamp, p.id;
