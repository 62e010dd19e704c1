-- Bounds on the bucket come first, because they are what the key's index and the partitions know: the
-- minute that holds the moment may close after it, and then the one before it counts.
-- Bounds on the bucket by the range of the predictions follow from the others: with them partitions outside are not
-- even planned. Without settings, so that it is inlined, and they are those of the caller.
-- Arithmetic is on UTC's own clock: in a zone with summer time a day may have 23 or 25 hours.
CREATE OR REPLACE FUNCTION entasis.prediction_scores(
    model_name text,
    symbol_name text,
    exchange_name text,
    from_time timestamptz,
    to_time timestamptz DEFAULT now() + interval '1 day',
    lookback interval DEFAULT interval '1 day'
) RETURNS TABLE (
    id bigint,
    model_id varchar,
    symbol varchar,
    prediction_type varchar,
    predicted_value numeric,
    confidence numeric,
    "timestamp" timestamptz, -- noqa: RF06
    target_time timestamptz,
    base_price numeric,
    target_price numeric,
    actual_value numeric,
    error numeric,
    hit boolean
)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 100
BEGIN ATOMIC
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
        CASE
            WHEN p.prediction_type IN ('direction', 'return')
                THEN sign(p.predicted_value) = sign(target.price - base.price)
            WHEN p.prediction_type = 'price'
                THEN sign(p.predicted_value - base.price) = sign(target.price - base.price)
        END AS hit
    FROM entasis.predictions AS p
    LEFT JOIN LATERAL (
        SELECT c.close AS price
        FROM entasis.ohlcv_1m AS c
        WHERE
            c.symbol = p.symbol
            AND c.exchange = prediction_scores.exchange_name
            AND c.bucket <= p.timestamp
            AND c.bucket > (
                p.timestamp AT TIME ZONE 'UTC' - prediction_scores.lookback - interval '1 minute'
            ) AT TIME ZONE 'UTC'
            AND c.bucket > (
                prediction_scores.from_time AT TIME ZONE 'UTC' - prediction_scores.lookback
                - interval '1 minute'
            ) AT TIME ZONE 'UTC'
            AND c.bucket < prediction_scores.to_time
            AND c.closed_at <= p.timestamp
            AND c.closed_at > (
                p.timestamp AT TIME ZONE 'UTC' - prediction_scores.lookback
            ) AT TIME ZONE 'UTC'
        ORDER BY c.bucket DESC
        LIMIT 1
    ) AS base ON true
    LEFT JOIN LATERAL (
        SELECT c.close AS price
        FROM entasis.ohlcv_1m AS c
        WHERE
            p.target_time <= now()
            AND c.symbol = p.symbol
            AND c.exchange = prediction_scores.exchange_name
            AND c.bucket <= p.target_time
            AND c.bucket > (
                p.target_time AT TIME ZONE 'UTC' - prediction_scores.lookback
                - interval '1 minute'
            ) AT TIME ZONE 'UTC'
            AND c.bucket > (
                prediction_scores.from_time AT TIME ZONE 'UTC' - prediction_scores.lookback
                - interval '1 minute'
            ) AT TIME ZONE 'UTC'
            AND c.closed_at <= p.target_time
            AND c.closed_at > (
                p.target_time AT TIME ZONE 'UTC' - prediction_scores.lookback
            ) AT TIME ZONE 'UTC'
        ORDER BY c.bucket DESC
        LIMIT 1
    ) AS target ON true
    CROSS JOIN
        LATERAL (
            SELECT
                CASE
                    WHEN p.prediction_type = 'price' THEN target.price
                    -- as target / base - 1, with the digits of the division spent on the difference
                    -- of a price at zero or below (spreads) there is none
                    WHEN p.prediction_type = 'return'
                        THEN
                            CASE
                                WHEN base.price > 0 THEN (target.price - base.price) / base.price
                            END
                    WHEN p.prediction_type = 'direction' THEN sign(target.price - base.price)
                END AS actual_value
        ) AS happened
    WHERE
        p.model_id = prediction_scores.model_name
        AND p.symbol = prediction_scores.symbol_name
        AND p.timestamp >= prediction_scores.from_time
        AND p.timestamp < prediction_scores.to_time;
END;

COMMENT ON FUNCTION entasis.prediction_scores IS
'The predictions of one model about one symbol that were made in [from_time, to_time), with what then happened on one exchange. The price at a moment is the close of the newest stored minute whose last trade was made in (moment - lookback, moment], in quote units; NULL where there is none, and at a target_time that is missing or still to come: the last known price is not what will happen. actual_value is what predicted_value should have been: target_price for price, target_price / base_price - 1 for return (rounded half away from zero to at least 16 significant digits; NULL where base_price is not above 0), 1, 0 or -1 for direction; NULL for other types. error is predicted_value - actual_value. hit says whether the price moved from base_price to the side that was predicted, no move being a side of its own; NULL where a price is NULL, and for other types. Lengths are of UTC''s own clock. Ordered only if the query says so. Reads only the partitions of the range, and of the times that it looks back and ahead to.';
