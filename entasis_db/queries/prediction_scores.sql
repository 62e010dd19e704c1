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
    p.predicted_value OPERATOR(pg_catalog.-) happened.actual_value AS error,
    CASE
        WHEN
            p.prediction_type OPERATOR(pg_catalog.=) 'direction'
            THEN
                pg_catalog.sign(p.predicted_value) OPERATOR(pg_catalog.=) pg_catalog.sign(
                    target.price OPERATOR(pg_catalog.-) base.price
                )
        WHEN
            p.prediction_type OPERATOR(pg_catalog.=) 'return'
            THEN
                pg_catalog.sign(p.predicted_value) OPERATOR(pg_catalog.=) pg_catalog.sign(
                    target.price OPERATOR(pg_catalog.-) base.price
                )
        WHEN
            p.prediction_type OPERATOR(pg_catalog.=) 'price'
            THEN
                pg_catalog.sign(p.predicted_value OPERATOR(pg_catalog.-) base.price)
                OPERATOR(pg_catalog.=) pg_catalog.sign(
                    target.price OPERATOR(pg_catalog.-) base.price
                )
    END AS hit
FROM entasis.predictions AS p
LEFT JOIN LATERAL (
    SELECT c.close AS price
    FROM entasis.ohlcv_1m AS c
    WHERE
        c.symbol OPERATOR(pg_catalog.=) p.symbol
        AND c.exchange OPERATOR(pg_catalog.=) %(exchange)s::pg_catalog.text
        AND c.bucket OPERATOR(pg_catalog.<=) p.timestamp
        AND c.bucket OPERATOR(pg_catalog.>) (
            p.timestamp AT TIME ZONE 'UTC' OPERATOR(pg_catalog.-) %(lookback)s::interval
            OPERATOR(pg_catalog.-) interval '1 minute'
        ) AT TIME ZONE 'UTC'
        AND c.bucket OPERATOR(pg_catalog.>) (
            %(from_time)s::pg_catalog.timestamptz AT TIME ZONE 'UTC'
            OPERATOR(pg_catalog.-) %(lookback)s::interval
            OPERATOR(pg_catalog.-) interval '1 minute'
        ) AT TIME ZONE 'UTC'
        AND c.bucket OPERATOR(pg_catalog.<) %(to_time)s::pg_catalog.timestamptz
        AND c.closed_at OPERATOR(pg_catalog.<=) p.timestamp
        AND c.closed_at
        OPERATOR(pg_catalog.>) (
            p.timestamp AT TIME ZONE 'UTC' OPERATOR(pg_catalog.-) %(lookback)s::interval
        ) AT TIME ZONE 'UTC'
    ORDER BY c.bucket DESC
    LIMIT 1
) AS base ON true
LEFT JOIN LATERAL (
    SELECT c.close AS price
    FROM entasis.ohlcv_1m AS c
    WHERE
        p.target_time OPERATOR(pg_catalog.<=) pg_catalog.now()
        AND c.symbol OPERATOR(pg_catalog.=) p.symbol
        AND c.exchange OPERATOR(pg_catalog.=) %(exchange)s::pg_catalog.text
        AND c.bucket OPERATOR(pg_catalog.<=) p.target_time
        AND c.bucket OPERATOR(pg_catalog.>) (
            p.target_time AT TIME ZONE 'UTC' OPERATOR(pg_catalog.-) %(lookback)s::interval
            OPERATOR(pg_catalog.-) interval '1 minute'
        ) AT TIME ZONE 'UTC'
        AND c.bucket OPERATOR(pg_catalog.>) (
            %(from_time)s::pg_catalog.timestamptz AT TIME ZONE 'UTC'
            OPERATOR(pg_catalog.-) %(lookback)s::interval
            OPERATOR(pg_catalog.-) interval '1 minute'
        ) AT TIME ZONE 'UTC'
        AND c.closed_at OPERATOR(pg_catalog.<=) p.target_time
        AND c.closed_at
        OPERATOR(pg_catalog.>) (
            p.target_time AT TIME ZONE 'UTC' OPERATOR(pg_catalog.-) %(lookback)s::interval
        ) AT TIME ZONE 'UTC'
    ORDER BY c.bucket DESC
    LIMIT 1
) AS target ON true
CROSS JOIN
    LATERAL (
        SELECT
            CASE
                WHEN p.prediction_type OPERATOR(pg_catalog.=) 'price' THEN target.price
                -- as target / base - 1, with the digits of the division spent on the difference
                -- of a price at zero or below (spreads) there is none
                WHEN p.prediction_type OPERATOR(pg_catalog.=) 'return'
                    THEN
                        CASE
                            WHEN
                                base.price OPERATOR(pg_catalog.>) 0
                                THEN
                                    (target.price OPERATOR(pg_catalog.-) base.price)
                                    OPERATOR(pg_catalog./) base.price
                        END
                WHEN
                    p.prediction_type OPERATOR(pg_catalog.=) 'direction'
                    THEN pg_catalog.sign(target.price OPERATOR(pg_catalog.-) base.price)
            END AS actual_value
    ) AS happened
WHERE
    p.model_id OPERATOR(pg_catalog.=) %(model_id)s::pg_catalog.text
    AND p.symbol OPERATOR(pg_catalog.=) %(symbol)s::pg_catalog.text
    AND p.timestamp OPERATOR(pg_catalog.>=) %(from_time)s::pg_catalog.timestamptz
    AND p.timestamp OPERATOR(pg_catalog.<) %(to_time)s::pg_catalog.timestamptz
ORDER BY p.timestamp, p.id;
