COMMENT ON TABLE entasis.keep_periods IS
'How long each relation that grows is kept. Rows are for a DBA to update.';
COMMENT ON COLUMN entasis.keep_periods.relation IS
'Relation of schema entasis.';
COMMENT ON COLUMN entasis.keep_periods.keep IS
'A partition is past its keep period when all of it is older than this, and so is a row of a relation without partitions. NULL: kept for ever.';
COMMENT ON COLUMN entasis.keep_periods.archived IS
'True, the default: a partition is dropped only if a verified archive holds exactly its rows, and no row of a relation without partitions is deleted. False: what is past the keep period is discarded.';
COMMENT ON COLUMN entasis.keep_periods.months_ahead IS
'Number of calendar months after the current one whose partitions are created ahead.';
COMMENT ON COLUMN entasis.keep_periods.derived_from IS
'Relation that its rows are ultimately computed from. They are kept at least as long as that relation''s, and dropped after them. Changed by migrations only. NULL: its rows are original data.';
