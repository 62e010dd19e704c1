-- chunks are created by the rows that need them
CREATE OR REPLACE FUNCTION entasis_internal.partitions_reach_ahead(
    relation_name text, months_ahead integer
) RETURNS boolean
LANGUAGE sql IMMUTABLE
RETURN relation_name IS NOT NULL AND months_ahead IS NOT NULL;

COMMENT ON FUNCTION entasis_internal.partitions_reach_ahead IS
'True: chunks are made when rows come.';
