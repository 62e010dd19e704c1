-- Predictions are the coordinator's, and minutes lie on shards: the moments go to the shard, and prices come back.
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
LANGUAGE plpgsql STABLE ROWS 100
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH made AS MATERIALIZED (
        SELECT p.*, row_number() OVER () AS place FROM entasis.predictions AS p
        WHERE
            p.model_id = prediction_scores.model_name
            AND p.symbol = prediction_scores.symbol_name
            AND p.timestamp >= prediction_scores.from_time
            AND p.timestamp < prediction_scores.to_time
    )
    SELECT
        p.id,
        p.model_id,
        p.symbol,
        p.prediction_type,
        p.predicted_value,
        p.confidence,
        p.timestamp,
        p.target_time,
        base.price,
        target.price,
        happened.actual_value,
        p.predicted_value - happened.actual_value,
        CASE
            WHEN p.prediction_type IN ('direction', 'return')
                THEN sign(p.predicted_value) = sign(target.price - base.price)
            WHEN p.prediction_type = 'price'
                THEN sign(p.predicted_value - base.price) = sign(target.price - base.price)
        END
    FROM made AS p
    LEFT JOIN entasis_internal.minute_closes(
        prediction_scores.symbol_name, prediction_scores.exchange_name,
        (SELECT array_agg(m.timestamp ORDER BY m.place) FROM made AS m),
        prediction_scores.lookback
    ) AS base ON p.place = base.place
    LEFT JOIN entasis_internal.minute_closes(
        prediction_scores.symbol_name, prediction_scores.exchange_name,
        (
            -- a time that is still to come has no price, and its place stays
            SELECT array_agg(CASE WHEN m.target_time <= now() THEN m.target_time END ORDER BY m.place)
            FROM made AS m
        ),
        prediction_scores.lookback
    ) AS target ON p.place = target.place
    CROSS JOIN LATERAL (
        SELECT
            CASE
                WHEN p.prediction_type = 'price' THEN target.price
                -- as target / base - 1, with the digits of the division spent on the difference
                -- of a price at zero or below (spreads) there is none
                WHEN p.prediction_type = 'return' AND base.price > 0
                    THEN (target.price - base.price) / base.price
                WHEN p.prediction_type = 'direction' THEN sign(target.price - base.price)
            END AS actual_value
    ) AS happened;
END
$$;

COMMENT ON FUNCTION entasis.prediction_scores IS
'The predictions of one model about one symbol that were made in [from_time, to_time), with what then happened on one exchange. The price at a moment is the close of the newest stored minute whose last trade was made in (moment - lookback, moment], in quote units; NULL where there is none, and at a target_time that is missing or still to come: the last known price is not what will happen. actual_value is what predicted_value should have been: target_price for price, target_price / base_price - 1 for return (rounded half away from zero to at least 16 significant digits; NULL where base_price is not above 0), 1, 0 or -1 for direction; NULL for other types. error is predicted_value - actual_value. hit says whether the price moved from base_price to the side that was predicted, no move being a side of its own; NULL where a price is NULL, and for other types. Lengths are of UTC''s own clock. Ordered only if the query says so. Reads only the partitions of the range, and of the times that it looks back and ahead to.';
