-- A setting would do, but any session may set one, in the middle of a statement too. A transaction leaves its row
-- behind, since nothing runs at its end; the next one of its backend removes it. Logged, although the row means nothing
-- after its transaction: a shard with an unlogged table cannot move while it is written. Beside the trades, by symbol, because triggers on shards write it.
CREATE TABLE IF NOT EXISTS entasis_internal.recomputing (
    symbol varchar(64) COLLATE "C" NOT NULL,
    backend integer NOT NULL,
    transaction_id xid8 NOT NULL,
    CONSTRAINT recomputing_pkey PRIMARY KEY (symbol, backend, transaction_id)
);
