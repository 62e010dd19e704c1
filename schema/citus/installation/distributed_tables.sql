-- What is sharded, and by what: everything of a symbol lies on one node, and an underlying's quotes beside its trades.
-- Once a table is distributed it stays so: there is no IF NOT EXISTS for it.
DO $distribute$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT w.* FROM (
            VALUES
            ('entasis.market_data', 'symbol', 'none'),
            ('entasis.markets', 'symbol', 'entasis.market_data'),
            ('entasis_internal.moved_trades', 'symbol', 'entasis.market_data'),
            ('entasis_internal.recomputing', 'symbol', 'entasis.market_data'),
            ('entasis.ohlcv_1m', 'symbol', 'entasis.market_data'),
            ('entasis.ohlcv_1h', 'symbol', 'entasis.market_data'),
            ('entasis.ohlcv_1d', 'symbol', 'entasis.market_data'),
            ('entasis.option_data', 'underlying', 'entasis.market_data')
        ) AS w (relation, shard_key, beside)
    LOOP
        IF NOT EXISTS (
            SELECT FROM pg_dist_partition AS p WHERE p.logicalrelid = wanted.relation::regclass
        ) THEN
            PERFORM create_distributed_table(wanted.relation, wanted.shard_key, colocate_with => wanted.beside);
        END IF;
    END LOOP;
END
$distribute$;
