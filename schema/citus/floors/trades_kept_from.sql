-- As the owner: readers may not look at the copies, which are no distributed query.
CREATE OR REPLACE FUNCTION entasis_internal.trades_kept_from() RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    lowest timestamptz;
BEGIN
    EXECUTE format(
        $sql$SELECT f.floor FROM %s AS f WHERE f.relation = 'market_data'$sql$,
        entasis_internal.shard_copy('entasis_internal.shard_floors')
    ) INTO lowest;
    RETURN lowest;
END
$$;

COMMENT ON FUNCTION entasis_internal.trades_kept_from IS
'The floor of market_data. Triggers on shards ask it, so it reads the copy that is on every node.';
