CREATE OR REPLACE FUNCTION entasis.prediction_markouts(
    model_name text,
    symbol_name text,
    exchange_name text,
    horizons interval[],
    from_time timestamptz,
    to_time timestamptz,
    max_age interval DEFAULT interval '1 day'
) RETURNS TABLE (
    "timestamp" timestamptz, -- noqa: RF06
    id bigint,
    prediction_type text,
    predicted_value numeric,
    confidence numeric,
    price numeric,
    horizon interval,
    moment timestamptz,
    price_then numeric,
    traded_at timestamptz,
    direction integer,
    move numeric,
    markout numeric,
    markout_return numeric
)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
BEGIN ATOMIC
    SELECT
        p.timestamp,
        p.id,
        p.prediction_type,
        p.predicted_value,
        p.confidence,
        b.price,
        h.horizon,
        h.moment,
        a.price AS price_then,
        a.traded_at,
        s.direction,
        a.price - b.price AS move,
        s.direction * (a.price - b.price) AS markout,
        CASE
            WHEN b.price > 0
                THEN s.direction * (a.price - b.price + 0.000000000000000000000000) / b.price
        END AS markout_return
    FROM entasis.predictions AS p
    LEFT JOIN LATERAL entasis_internal.trade_asof(
        prediction_markouts.symbol_name,
        prediction_markouts.exchange_name,
        p.timestamp,
        prediction_markouts.max_age
    ) AS b ON true
    CROSS JOIN
        LATERAL (
            SELECT
                CASE
                    WHEN p.prediction_type IN ('direction', 'return') THEN sign(p.predicted_value)
                    WHEN p.prediction_type = 'price' THEN sign(p.predicted_value - b.price)
                END::integer AS direction
        ) AS s
    CROSS JOIN
        LATERAL (
            SELECT
                u.horizon,
                (p.timestamp AT TIME ZONE 'UTC' + u.horizon) AT TIME ZONE 'UTC' AS moment
            FROM unnest(prediction_markouts.horizons) AS u (horizon)
        ) AS h
    LEFT JOIN LATERAL entasis_internal.trade_asof(
        prediction_markouts.symbol_name,
        prediction_markouts.exchange_name,
        h.moment,
        prediction_markouts.max_age
    ) AS a ON true
    WHERE
        p.model_id = prediction_markouts.model_name
        AND p.symbol = prediction_markouts.symbol_name
        AND p.timestamp >= prediction_markouts.from_time
        AND p.timestamp < prediction_markouts.to_time;
END;

COMMENT ON FUNCTION entasis.prediction_markouts IS
'How the price moved after each prediction of one model in [from_time, to_time): a row for each prediction and each horizon. price is that of the market at timestamp, price_then that at moment = timestamp + horizon, both as prices_asof() tells them, in quote units. direction is 1, 0 or -1: the sign of predicted_value for types direction and return, of predicted_value - price for price, NULL for a model''s own types. move is price_then - price, markout is direction * move, and markout_return is markout / price, a fraction to at least 24 decimals, NULL where price is not above 0. What takes a price that is not known, above all one at a moment still to come, is NULL. Ordered only if the query says so. Reads only the partitions of the range.';
