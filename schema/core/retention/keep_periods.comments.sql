COMMENT ON TABLE entasis.keep_periods IS
'How long each partitioned relation is kept. A DBA changes these rows.';
COMMENT ON COLUMN entasis.keep_periods.relation IS
'Relation of schema entasis.';
COMMENT ON COLUMN entasis.keep_periods.keep IS
'A partition that lies wholly further back than this is past its keep period. NULL: kept for ever.';
COMMENT ON COLUMN entasis.keep_periods.archived IS
'True: no partition of it is dropped unless a verified archive holds exactly its rows.';
COMMENT ON COLUMN entasis.keep_periods.months_ahead IS
'How many calendar months after this one have their partition made ahead.';
COMMENT ON COLUMN entasis.keep_periods.derived_from IS
'Relation whose rows it is computed from in the end: it is kept at least as long, and no partition of it is dropped before theirs. Only a migration changes it. NULL: computed from nothing.';
