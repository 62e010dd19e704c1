-- A double precision is cast to NUMERIC with 15 digits, before any constraint or trigger sees it. Its text, with
-- extra_float_digits above 0, has as many as tell it from every other, up to 17.
CREATE OR REPLACE FUNCTION entasis.write_prediction(
    model_id text,
    symbol_name text,
    prediction_type text,
    predicted_value double precision,
    confidence double precision,
    made_at timestamptz,
    target_time timestamptz DEFAULT NULL,
    replacing boolean DEFAULT FALSE
) RETURNS TABLE (
    outcome text,
    rounded integer,
    id bigint,
    held_value numeric,
    held_confidence numeric
)
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
SET extra_float_digits = 1
BEGIN ATOMIC
    SELECT
        w.outcome,
        w.rounded,
        w.id,
        w.held_value,
        w.held_confidence
    FROM entasis.write_predictions(
        ARRAY[write_prediction.model_id],
        ARRAY[write_prediction.symbol_name],
        ARRAY[write_prediction.prediction_type],
        ARRAY[write_prediction.predicted_value::text::numeric],
        ARRAY[write_prediction.confidence::text::numeric],
        ARRAY[write_prediction.made_at],
        ARRAY[write_prediction.target_time],
        write_prediction.replacing
    ) AS w;
END;

COMMENT ON FUNCTION entasis.write_prediction IS
'Stores one prediction whose numbers are double precision, each as the shortest decimal that is read back as the same double: a cast to NUMERIC, which an INSERT makes, keeps 15 digits. Numbers with more than 18 decimals are rounded half to even, and counted in rounded. What it returns and raises is what write_predictions() does, which takes NUMERIC: a NUMERIC given here is cut to the 17 digits of a double.';
