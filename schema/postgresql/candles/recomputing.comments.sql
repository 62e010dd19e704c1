COMMENT ON TABLE entasis_internal.recomputing IS
'Transactions that have recomputed candles: the trades that they insert afterwards are recomputed too, and not merged. Rows of ended transactions mean nothing.';
COMMENT ON COLUMN entasis_internal.recomputing.backend IS
'Process id of the backend.';
COMMENT ON COLUMN entasis_internal.recomputing.transaction_id IS
'The transaction.';
