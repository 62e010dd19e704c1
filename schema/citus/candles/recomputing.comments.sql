COMMENT ON TABLE entasis_internal.recomputing IS
'Transactions that have recomputed candles: the trades that they insert afterwards into the same shard are recomputed too, and not merged. Rows of ended transactions mean nothing.';
COMMENT ON COLUMN entasis_internal.recomputing.symbol IS
'One of the symbols of the shard.';
COMMENT ON COLUMN entasis_internal.recomputing.backend IS
'Process id of the backend on the shard''s node.';
COMMENT ON COLUMN entasis_internal.recomputing.transaction_id IS
'The transaction, of that node.';
