-- A statement that moved all its rows to another partition has none in its transition tables: so the trigger's own table says
-- which shard it is.
CREATE OR REPLACE FUNCTION entasis_internal.take_moved_trades(shard regclass)
RETURNS entasis_internal.moved_trades[]
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    moved entasis_internal.moved_trades[];
    notes text;
BEGIN
    SELECT shard_name('entasis_internal.moved_trades', m.shardid) INTO notes
    FROM pg_dist_shard AS d
    INNER JOIN pg_dist_shard AS m ON d.shardminvalue = m.shardminvalue
    WHERE d.logicalrelid = 'entasis.market_data'::regclass
        AND m.logicalrelid = 'entasis_internal.moved_trades'::regclass
        AND d.shardid = substring(shard::text FROM '_(\d+)"?$')::bigint;
    EXECUTE format(
        'WITH taken AS (DELETE FROM %s AS m WHERE m.transaction_id = pg_current_xact_id_if_assigned() RETURNING m.*)'
        ' SELECT array_agg(row(t.transaction_id, t.symbol, t.exchange, t.timestamp)::entasis_internal.moved_trades) FROM taken AS t', notes
    ) INTO moved;
    RETURN moved;
END
$$;

COMMENT ON FUNCTION entasis_internal.take_moved_trades IS
'Takes what record_moved_trade() recorded in this transaction beside a shard of market_data. NULL: nothing.';
