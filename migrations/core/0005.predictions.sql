-- Predictions of models.
-- depends: 0004.option-data

SET LOCAL ROLE entasis_owner;

CREATE SEQUENCE IF NOT EXISTS entasis.predictions_id_seq AS bigint;

CREATE TABLE IF NOT EXISTS entasis.predictions (
    id bigint NOT NULL DEFAULT nextval('entasis.predictions_id_seq'),
    model_id varchar(128) COLLATE "C" NOT NULL,
    symbol varchar(64) COLLATE "C" NOT NULL,
    prediction_type varchar(64) COLLATE "C" NOT NULL,
    predicted_value numeric NOT NULL,
    confidence numeric NOT NULL,
    timestamp timestamptz NOT NULL,
    target_time timestamptz,
    CONSTRAINT predictions_pkey PRIMARY KEY (symbol, id),
    -- a prediction without a target_time is made once too
    CONSTRAINT predictions_key UNIQUE NULLS NOT DISTINCT (
        model_id, symbol, prediction_type, timestamp, target_time
    ),
    CONSTRAINT predictions_model_id_is_name CHECK (
        model_id <> ''
        AND model_id !~ '^\s|\s$|[\u0001-\u001f\u007f-\u00a0\u061c'
        '\u1680\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f-\u2069\u3000\ufeff]'
    ),
    CONSTRAINT predictions_symbol_is_name CHECK (
        symbol <> ''
        AND symbol !~ '^\s|\s$|[\u0001-\u001f\u007f-\u00a0\u061c'
        '\u1680\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f-\u2069\u3000\ufeff]'
    ),
    CONSTRAINT predictions_prediction_type_is_name CHECK (
        prediction_type <> ''
        AND prediction_type !~ '^\s|\s$|[\u0001-\u001f\u007f-\u00a0\u061c'
        '\u1680\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f-\u2069\u3000\ufeff]'
    ),
    CONSTRAINT predictions_predicted_value_exact CHECK (
        predicted_value > -1e20 AND predicted_value < 1e20 AND min_scale(predicted_value) <= 18
    ),
    CONSTRAINT predictions_confidence_exact CHECK (
        confidence >= 0 AND confidence <= 1 AND min_scale(confidence) <= 18
    ),
    CONSTRAINT predictions_timestamp_finite CHECK (isfinite(timestamp)),
    CONSTRAINT predictions_target_time_later CHECK (
        isfinite(target_time) AND target_time >= timestamp
    )
);

ALTER SEQUENCE entasis.predictions_id_seq OWNED BY entasis.predictions.id;

-- the document's two columns, and the order in which the predictions of a model are read
CREATE INDEX IF NOT EXISTS idx_predictions_model_symbol
ON entasis.predictions (model_id, symbol, timestamp, id);

CREATE INDEX IF NOT EXISTS idx_predictions_timestamp
ON entasis.predictions (timestamp DESC);
