COMMENT ON TABLE entasis.quarantine IS
'Rows that could not be stored, complete and with the reason. Delete a row once it is dealt with.';
COMMENT ON COLUMN entasis.quarantine.id IS
'Identifies the row; from a sequence.';
COMMENT ON COLUMN entasis.quarantine.relation IS
'Relation that the row was meant for.';
COMMENT ON COLUMN entasis.quarantine.source IS
'File or feed that it came from, as named by its loader.';
COMMENT ON COLUMN entasis.quarantine.line IS
'Line of the file, from 1, or position in the batch, from 1.';
COMMENT ON COLUMN entasis.quarantine.code IS
'Kind of the fault: conflict, or the column or step concerned.';
COMMENT ON COLUMN entasis.quarantine.reason IS
'The reason in words.';
COMMENT ON COLUMN entasis.quarantine.payload IS
'The row; numbers with all their digits.';
COMMENT ON COLUMN entasis.quarantine.quarantined_at IS
'When it was first refused; UTC.';
