COMMENT ON TABLE entasis_internal.moved_trades IS
'Old and new markets and times of the trades that a running statement moves. Empty between statements.';
COMMENT ON COLUMN entasis_internal.moved_trades.transaction_id IS
'Transaction of the statement.';
COMMENT ON COLUMN entasis_internal.moved_trades.symbol IS
'Instrument, before or after the move.';
COMMENT ON COLUMN entasis_internal.moved_trades.exchange IS
'Exchange, before or after the move.';
COMMENT ON COLUMN entasis_internal.moved_trades.timestamp IS
'When the trade was made, before or after the move; UTC.';
