-- A setting would do, but any session may set one, in the middle of a statement too. A transaction leaves its row
-- behind, since nothing runs at its end; the next one of its backend removes it. Unlogged, because the row means
-- nothing after its transaction.
CREATE UNLOGGED TABLE IF NOT EXISTS entasis_internal.recomputing (
    backend integer NOT NULL DEFAULT pg_backend_pid(),
    transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
    CONSTRAINT recomputing_pkey PRIMARY KEY (backend, transaction_id)
);
