CREATE OR REPLACE FUNCTION entasis_internal.trades_kept_from() RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT f.floor FROM entasis_internal.shard_floors AS f WHERE f.relation = 'market_data');
END
$$;

COMMENT ON FUNCTION entasis_internal.trades_kept_from IS
'The floor of market_data. Triggers on shards ask it, so it reads the copy that is on every node.';
