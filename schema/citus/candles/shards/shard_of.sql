-- A trigger on a shard works on the shards of the same symbols beside it, by their names: statements over the distributed tables
-- would be planned and sent to the node anew, and could not take many rows at once.
CREATE OR REPLACE FUNCTION entasis_internal.shard_of(relation regclass, symbol_name text)
RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
RETURN shard_name(relation, get_shard_id_for_distribution_column(relation, symbol_name));

COMMENT ON FUNCTION entasis_internal.shard_of IS
'The table that holds the rows of a symbol on its node, qualified.';
