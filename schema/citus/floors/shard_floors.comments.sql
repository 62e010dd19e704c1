COMMENT ON TABLE entasis_internal.shard_floors IS
'A copy of entasis.floors on every node, for what shards ask. Triggers of that table write it.';
COMMENT ON COLUMN entasis_internal.shard_floors.relation IS
'Relation of schema entasis.';
COMMENT ON COLUMN entasis_internal.shard_floors.floor IS
'Its floor; UTC.';
COMMENT ON TABLE entasis_internal.shard_reopened IS
'A copy on every node of the ranges of entasis.reopened that are open for writers. Triggers of that table write it.';
COMMENT ON COLUMN entasis_internal.shard_reopened.relation IS
'market_data or option_data.';
COMMENT ON COLUMN entasis_internal.shard_reopened.symbol IS
'Instrument or underlying. NULL: all markets.';
COMMENT ON COLUMN entasis_internal.shard_reopened.exchange IS
'Exchange. NULL: all markets, or the quotes of an underlying.';
COMMENT ON COLUMN entasis_internal.shard_reopened.from_time IS
'First moment of the range, included; UTC.';
COMMENT ON COLUMN entasis_internal.shard_reopened.to_time IS
'First moment after the range; UTC.';
COMMENT ON TABLE entasis_internal.shard_restored IS
'A copy on every node of the ranges of entasis.restores that are attached again. Triggers of that table write it.';
COMMENT ON COLUMN entasis_internal.shard_restored.relation IS
'Relation of schema entasis.';
COMMENT ON COLUMN entasis_internal.shard_restored.from_time IS
'First moment of the range, included; UTC.';
COMMENT ON COLUMN entasis_internal.shard_restored.to_time IS
'First moment after the range; UTC.';
