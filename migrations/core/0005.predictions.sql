-- Predictions of models.
-- depends: 0004.option-data

SET LOCAL ROLE entasis_owner;

CREATE SEQUENCE IF NOT EXISTS entasis.predictions_id_seq AS bigint;

CREATE TABLE IF NOT EXISTS entasis.predictions (
    id bigint NOT NULL DEFAULT nextval('entasis.predictions_id_seq'),
    model_id varchar(50) COLLATE "C" NOT NULL,
    symbol varchar(20) COLLATE "C" NOT NULL,
    prediction_type varchar(20) COLLATE "C" NOT NULL,
    predicted_value numeric NOT NULL,
    confidence numeric NOT NULL,
    timestamp timestamptz NOT NULL,
    target_time timestamptz,
    CONSTRAINT predictions_pkey PRIMARY KEY (symbol, id),
    CONSTRAINT predictions_model_id_not_empty CHECK (model_id <> ''),
    CONSTRAINT predictions_symbol_not_empty CHECK (symbol <> ''),
    CONSTRAINT predictions_prediction_type_not_empty CHECK (prediction_type <> ''),
    CONSTRAINT predictions_predicted_value_exact CHECK (
        predicted_value > -1e12 AND predicted_value < 1e12 AND min_scale(predicted_value) <= 18
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
