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
