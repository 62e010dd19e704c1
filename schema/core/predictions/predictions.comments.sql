COMMENT ON TABLE entasis.predictions IS
'Predictions of models, one row each: (model_id, symbol, prediction_type, timestamp, target_time) is unique, NULL counting as a value. Not dropped by entasis.maintain().';
COMMENT ON COLUMN entasis.predictions.id IS
'Identifies the prediction within its symbol; from a sequence.';
COMMENT ON COLUMN entasis.predictions.model_id IS
'Model that made it; 1 to 128 characters.';
COMMENT ON COLUMN entasis.predictions.symbol IS
'Instrument that is predicted.';
COMMENT ON COLUMN entasis.predictions.prediction_type IS
'What predicted_value is: price (quote units), return (fraction from timestamp to target_time), direction (above 0 up, below 0 down), or a type of your own, which is not scored.';
COMMENT ON COLUMN entasis.predictions.predicted_value IS
'Predicted value, in the unit of prediction_type; between -1e20 and 1e20, at most 18 decimals. An INSERT of double precision keeps 15 digits; entasis.write_prediction() keeps all, and rounds what does not fit.';
COMMENT ON COLUMN entasis.predictions.confidence IS
'The model''s own certainty, from 0 to 1, both included; at most 18 decimals. An INSERT of double precision keeps 15 digits; entasis.write_prediction() keeps all, and rounds what does not fit.';
COMMENT ON COLUMN entasis.predictions.timestamp IS
'When the prediction was made; UTC.';
COMMENT ON COLUMN entasis.predictions.target_time IS
'Time that is predicted, not before timestamp; UTC. NULL: none was stated, so the prediction cannot be scored.';
COMMENT ON SEQUENCE entasis.predictions_id_seq IS
'Default of predictions.id.';
