COMMENT ON TABLE entasis_internal.made_objects IS
'What the last migration run has made and granted, for entasis.health to show what was changed by hand since.';
COMMENT ON COLUMN entasis_internal.made_objects.kind IS
'constraint, index, policy, right, routine, trigger or view; or database, of which there is one row.';
COMMENT ON COLUMN entasis_internal.made_objects.object_name IS
'Its name with its schema; of a right, what was granted to whom.';
COMMENT ON COLUMN entasis_internal.made_objects.digest IS
'Of how the catalog has it; of a right nothing, and of the database what makes the others comparable: they are of another one''s after a restore or an upgrade of the server.';
COMMENT ON COLUMN entasis_internal.made_objects.written IS
'How an index or constraint is made. NULL: of others.';
