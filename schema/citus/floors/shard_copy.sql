-- Functions that queries call on shards may ask no distributed table, so they ask the copy of their node by its name.
CREATE OR REPLACE FUNCTION entasis_internal.shard_copy(relation regclass) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT shard_name(s.logicalrelid, s.shardid)
    FROM pg_dist_shard AS s
    WHERE s.logicalrelid = shard_copy.relation;
END;

COMMENT ON FUNCTION entasis_internal.shard_copy IS
'This node''s copy of a table that is on every node, qualified.';
