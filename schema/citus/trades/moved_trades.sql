-- The transition tables of MERGE are wrong for moved rows: after an INSERT action, the new table of the
-- UPDATE trigger contains the inserted row instead of the updated one, and a trade that moves to another
-- partition is in neither table. A row trigger records moves here, and the statement trigger reads them.
-- Logged, although rows do not outlive their statement: a shard with an unlogged table cannot move while it is written. Beside the trades,
-- because triggers on shards write it.
CREATE TABLE IF NOT EXISTS entasis_internal.moved_trades (
    transaction_id xid8 NOT NULL,
    symbol varchar(64) COLLATE "C" NOT NULL,
    exchange varchar(64) COLLATE "C" NOT NULL,
    timestamp timestamptz NOT NULL,
    CONSTRAINT moved_trades_pkey PRIMARY KEY (transaction_id, symbol, exchange, timestamp)
);

-- Once a table is distributed it stays so: there is no IF NOT EXISTS for it.
DO $distribute$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_dist_partition AS p
        WHERE p.logicalrelid = 'entasis_internal.moved_trades'::regclass
    ) THEN
        PERFORM create_distributed_table('entasis_internal.moved_trades', 'symbol', colocate_with => 'entasis.market_data');
    END IF;
END
$distribute$;
