COMMENT ON TABLE entasis.quarantine IS
'Rows that were refused, whole and with their reason. Delete a row here once it is dealt with.';
COMMENT ON COLUMN entasis.quarantine.id IS
'Number of the refusal.';
COMMENT ON COLUMN entasis.quarantine.relation IS
'Relation that the row was meant for.';
COMMENT ON COLUMN entasis.quarantine.source IS
'File or feed it came from, as its loader named it.';
COMMENT ON COLUMN entasis.quarantine.line IS
'Line of the file, from 1, or position in the batch, from 1.';
COMMENT ON COLUMN entasis.quarantine.code IS
'Kind of the fault: conflict, past_retention, or the name of the column or step that it lies in.';
COMMENT ON COLUMN entasis.quarantine.reason IS
'What is wrong, in words.';
COMMENT ON COLUMN entasis.quarantine.payload IS
'The row itself; numbers with every digit.';
COMMENT ON COLUMN entasis.quarantine.quarantined_at IS
'When it was refused first; UTC.';
