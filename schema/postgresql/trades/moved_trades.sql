-- MERGE reports wrongly what it moved: after an INSERT action, the new table of its UPDATE triggers
-- holds the inserted row instead of the updated one, and a trade that it moves to another partition
-- is in neither table. A row trigger notes here what moves, for the statement trigger to read. Rows
-- never outlive their statement, so that nothing is lost with an unlogged table.
CREATE UNLOGGED TABLE IF NOT EXISTS entasis_internal.moved_trades (
    transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
    symbol varchar(20) COLLATE "C" NOT NULL,
    exchange varchar(20) COLLATE "C" NOT NULL,
    timestamp timestamptz NOT NULL,
    CONSTRAINT moved_trades_pkey PRIMARY KEY (transaction_id, symbol, exchange, timestamp)
);
