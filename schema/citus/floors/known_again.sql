CREATE OR REPLACE FUNCTION entasis_internal.known_again(
    relation_name text, symbol_name text, exchange_name text
) RETURNS TABLE (from_time timestamptz, to_time timestamptz)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY EXECUTE format(
        $sql$
        SELECT s.from_time, s.to_time FROM %s AS s WHERE s.relation = $1
        UNION ALL
        SELECT o.from_time, o.to_time FROM %s AS o
        WHERE o.relation = 'market_data' AND (o.symbol IS NULL OR (o.symbol = $2 AND o.exchange = $3))
        $sql$,
        entasis_internal.shard_copy('entasis_internal.shard_restored'),
        entasis_internal.shard_copy('entasis_internal.shard_reopened')
    ) USING relation_name, symbol_name, exchange_name;
END
$$;

COMMENT ON FUNCTION entasis_internal.known_again IS
'Ranges [from_time, to_time) below the floor of market_data, or of candles stored of it, in which all of a market is known: those that an attached restore of the relation has brought back, and those that were reopened. They may overlap.';
