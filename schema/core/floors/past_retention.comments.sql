COMMENT ON TABLE entasis.past_retention IS
'How many rows were not stored because they lie below the floor of their relation, by source and market. Delete a row once it is dealt with.';
COMMENT ON COLUMN entasis.past_retention.relation IS
'Relation that the rows were meant for.';
COMMENT ON COLUMN entasis.past_retention.source IS
'File or feed that they came from, as named by its loader.';
COMMENT ON COLUMN entasis.past_retention.symbol IS
'Instrument; of option quotes, the underlying.';
COMMENT ON COLUMN entasis.past_retention.exchange IS
'Exchange. NULL: option quotes have none.';
COMMENT ON COLUMN entasis.past_retention.refused IS
'Number of rows, those of every load of the source counted.';
COMMENT ON COLUMN entasis.past_retention.from_time IS
'Timestamp of the earliest of them, included; UTC.';
COMMENT ON COLUMN entasis.past_retention.to_time IS
'Timestamp of the latest of them, included; UTC.';
COMMENT ON COLUMN entasis.past_retention.last_refused_at IS
'When rows were last refused; UTC.';
