COMMENT ON TABLE entasis_internal.relation_sizes IS
'The size of each relation, measured by the first maintenance of each day. Rows older than 400 days are deleted.';
COMMENT ON COLUMN entasis_internal.relation_sizes.relation IS
'Relation of schema entasis.';
COMMENT ON COLUMN entasis_internal.relation_sizes.measured_on IS
'Day in UTC.';
COMMENT ON COLUMN entasis_internal.relation_sizes.bytes IS
'Size on disk with indexes, in bytes.';
