-- The transition tables of MERGE are wrong for moved rows: after an INSERT action, the new table of the
-- UPDATE trigger contains the inserted row instead of the updated one, and a trade that moves to another
-- partition is in neither table. A row trigger records moves here, and the statement trigger reads them.
-- Unlogged, because rows do not outlive their statement.
CREATE UNLOGGED TABLE IF NOT EXISTS entasis_internal.moved_trades (
    transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
    symbol varchar(64) COLLATE "C" NOT NULL,
    exchange varchar(64) COLLATE "C" NOT NULL,
    timestamp timestamptz NOT NULL,
    CONSTRAINT moved_trades_pkey PRIMARY KEY (transaction_id, symbol, exchange, timestamp)
);
