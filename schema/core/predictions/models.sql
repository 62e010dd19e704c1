-- Models, symbols and types are found by jumping on the key's index from one to the next, so that no prediction between them
-- is read, however many there are. Ordered as the key is, the oldest and the newest are its entries too: another
-- index has other types between. Without settings, so that it is inlined.
CREATE OR REPLACE FUNCTION entasis.models() RETURNS TABLE (
    model_id varchar,
    symbol varchar,
    prediction_type varchar,
    first_prediction timestamptz,
    last_prediction timestamptz
)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 100
BEGIN ATOMIC
    WITH RECURSIVE series AS (
        (
            SELECT
                p.model_id,
                p.symbol,
                p.prediction_type
            FROM entasis.predictions AS p
            ORDER BY p.model_id, p.symbol, p.prediction_type
            LIMIT 1
        )
        UNION ALL
        SELECT
            n.model_id,
            n.symbol,
            n.prediction_type
        FROM series AS s
        CROSS JOIN LATERAL (
            SELECT
                p.model_id,
                p.symbol,
                p.prediction_type
            FROM entasis.predictions AS p
            WHERE
                (p.model_id, p.symbol, p.prediction_type)
                > (s.model_id, s.symbol, s.prediction_type)
            ORDER BY p.model_id, p.symbol, p.prediction_type
            LIMIT 1
        ) AS n
    )

    SELECT
        s.model_id,
        s.symbol,
        s.prediction_type,
        oldest.timestamp AS first_prediction,
        newest.timestamp AS last_prediction
    FROM series AS s
    CROSS JOIN
        LATERAL (
            SELECT p.timestamp
            FROM entasis.predictions AS p
            WHERE
                p.model_id = s.model_id
                AND p.symbol = s.symbol
                AND p.prediction_type = s.prediction_type
            ORDER BY p.timestamp ASC, p.target_time ASC
            LIMIT 1
        ) AS oldest
    CROSS JOIN
        LATERAL (
            SELECT p.timestamp
            FROM entasis.predictions AS p
            WHERE
                p.model_id = s.model_id
                AND p.symbol = s.symbol
                AND p.prediction_type = s.prediction_type
            ORDER BY p.timestamp DESC, p.target_time DESC
            LIMIT 1
        ) AS newest;
END;

COMMENT ON FUNCTION entasis.models IS
'What each model predicts: one row for each symbol and type of each model, with the times at which the oldest and the newest stored prediction were made. It takes a few index look-ups for each row, however many predictions there are. Ordered only if the query says so.';
