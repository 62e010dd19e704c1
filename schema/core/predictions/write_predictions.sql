-- First the keys are inserted that are not there, in their order, so that writers wait for each other instead of
-- deadlocking. What others have stored meanwhile is seen by the next statement, which has a newer snapshot.
CREATE OR REPLACE FUNCTION entasis.write_predictions(
    model_ids text[],
    symbols text[],
    prediction_types text[],
    predicted_values numeric[],
    confidences numeric[],
    timestamps timestamptz[],
    target_times timestamptz[],
    replacing boolean DEFAULT false
) RETURNS TABLE (
    line integer,
    outcome text,
    rounded integer,
    id bigint,
    held_value numeric,
    held_confidence numeric
)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    given CONSTANT integer := cardinality(model_ids);
    exact_values numeric[];
    exact_confidences numeric[];
    new_ids bigint[];
    answered integer;
BEGIN
    IF (
        given, given, given, given, given, given
    ) IS DISTINCT FROM (
        cardinality(symbols), cardinality(prediction_types), cardinality(predicted_values),
        cardinality(confidences), cardinality(timestamps), cardinality(target_times)
    ) THEN
        RAISE EXCEPTION 'the arrays of columns are not equally long'
            USING ERRCODE = 'array_subscript_error';
    END IF;
    -- trailing spaces beyond the length would be cut off
    IF EXISTS (
        SELECT FROM unnest(model_ids, symbols, prediction_types) AS g (model, symbol, kind)
        WHERE length(g.model) > 128 OR length(g.symbol) > 64 OR length(g.kind) > 64
    ) THEN
        RAISE EXCEPTION 'a name is too long: 64 characters fit, and 128 for a model_id'
            USING ERRCODE = 'string_data_right_truncation';
    END IF;
    exact_values := entasis_internal.round_numbers(predicted_values, 18, 'predicted_value');
    exact_confidences := entasis_internal.round_numbers(confidences, 18, 'confidence');
    WITH inserted AS (
        INSERT INTO entasis.predictions AS p (
            model_id, symbol, prediction_type, predicted_value, confidence, timestamp, target_time
        )
        SELECT DISTINCT ON (g.model, g.symbol, g.kind, g.made_at, g.target)
            g.model, g.symbol, g.kind, g.value, g.confidence, g.made_at, g.target
        FROM unnest(
            model_ids, symbols, prediction_types, exact_values, exact_confidences, timestamps,
            target_times
        ) WITH ORDINALITY AS g (model, symbol, kind, value, confidence, made_at, target, line)
        ORDER BY g.model, g.symbol, g.kind, g.made_at, g.target, g.line
        ON CONFLICT ON CONSTRAINT predictions_key DO NOTHING
        RETURNING p.id
    )
    SELECT array_agg(i.id) INTO new_ids FROM inserted AS i;
    IF replacing THEN
        PERFORM FROM entasis.predictions AS p
        INNER JOIN unnest(
            model_ids, symbols, prediction_types, timestamps, target_times
        ) AS g (model, symbol, kind, made_at, target)
            ON p.model_id = g.model AND p.symbol = g.symbol AND p.prediction_type = g.kind
            AND p.timestamp = g.made_at AND p.target_time IS NOT DISTINCT FROM g.target
        ORDER BY p.model_id, p.symbol, p.prediction_type, p.timestamp, p.target_time
        FOR NO KEY UPDATE OF p;
    END IF;
    RETURN QUERY
    WITH found AS (
        SELECT
            g.line, g.value, g.confidence, p.id, p.symbol,
            n.id IS NOT NULL AND g.line = min(g.line) OVER of_key AS is_new,
            (min_scale(g.raw_value) > 18)::integer
            + (min_scale(g.raw_confidence) > 18)::integer AS rounded,
            -- of several rows of one key, each replaces the one before
            CASE WHEN replacing THEN lag(g.value, 1, p.predicted_value) OVER of_key
                ELSE p.predicted_value
            END AS held_value,
            CASE WHEN replacing THEN lag(g.confidence, 1, p.confidence) OVER of_key
                ELSE p.confidence
            END AS held_confidence
        FROM unnest(
            model_ids, symbols, prediction_types, exact_values, exact_confidences, timestamps,
            target_times, predicted_values, confidences
        ) WITH ORDINALITY AS g (
            model, symbol, kind, value, confidence, made_at, target, raw_value, raw_confidence,
            line
        )
        INNER JOIN entasis.predictions AS p
            ON p.model_id = g.model AND p.symbol = g.symbol AND p.prediction_type = g.kind
            AND p.timestamp = g.made_at AND p.target_time IS NOT DISTINCT FROM g.target
        LEFT JOIN unnest(new_ids) AS n (id) ON p.id = n.id
        WINDOW of_key AS (PARTITION BY p.symbol, p.id ORDER BY g.line)
    ),
    replaced AS (
        UPDATE entasis.predictions AS p
        SET predicted_value = l.value, confidence = l.confidence
        FROM (
            SELECT DISTINCT ON (f.symbol, f.id) f.* FROM found AS f
            ORDER BY f.symbol, f.id, f.line DESC
        ) AS l
        WHERE
            replacing
            AND p.symbol = l.symbol AND p.id = l.id
            AND (p.predicted_value, p.confidence) IS DISTINCT FROM (l.value, l.confidence)
    )
    SELECT
        f.line::integer,
        CASE
            WHEN f.is_new THEN 'inserted'
            WHEN (f.value, f.confidence) = (f.held_value, f.held_confidence) THEN 'already_there'
            WHEN replacing THEN 'replaced'
            ELSE 'conflict'
        END,
        f.rounded, f.id, f.held_value, f.held_confidence
    FROM found AS f
    ORDER BY f.line;
    GET DIAGNOSTICS answered = ROW_COUNT;
    IF answered < given THEN
        RAISE EXCEPTION 'predictions of this call were deleted while it ran'
            USING ERRCODE = 'serialization_failure', HINT = 'Repeat the transaction.';
    END IF;
END
$$;

COMMENT ON FUNCTION entasis.write_predictions IS
'Stores predictions, given as one array a column, and returns a row for each: line (its place, from 1), outcome, rounded (how many of its two numbers had more than 18 decimals and were rounded half to even), id, and the values that were stored under its key when it came (its own if it was inserted). outcome: inserted; already_there: the same values are stored under its key; conflict: others are, which stay; replaced (only if replacing): its values took their place. Rows of one key count in their order. Raises check_violation for NULL, NaN and infinities, and for values that would be stored and that the table refuses: nothing is stored then. Takes no double precision[]: write_prediction() does.';
