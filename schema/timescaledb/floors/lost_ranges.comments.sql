COMMENT ON TABLE entasis_internal.lost_ranges IS
'Chunks above the floor that candles are computed from, and that went without maintenance: somebody dropped them by hand. Refreshes take nothing from the candles of their ranges.';
COMMENT ON COLUMN entasis_internal.lost_ranges.relation IS
'Relation whose rows are gone.';
COMMENT ON COLUMN entasis_internal.lost_ranges.partition_name IS
'Name of the chunk that is gone.';
COMMENT ON COLUMN entasis_internal.lost_ranges.ranges IS
'Where its candles are still kept as they were, end exclusive; UTC. Empty: all were rebuilt since.';
COMMENT ON COLUMN entasis_internal.lost_ranges.noted_at IS
'When its loss was noted; UTC.';
