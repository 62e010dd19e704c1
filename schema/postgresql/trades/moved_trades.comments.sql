COMMENT ON TABLE entasis_internal.moved_trades IS
'From where and to where the running statement of a transaction moves trades. Empty between statements.';
COMMENT ON COLUMN entasis_internal.moved_trades.transaction_id IS
'The transaction that moves them.';
COMMENT ON COLUMN entasis_internal.moved_trades.symbol IS
'Instrument, before or after the move.';
COMMENT ON COLUMN entasis_internal.moved_trades.exchange IS
'Venue, before or after the move.';
COMMENT ON COLUMN entasis_internal.moved_trades.timestamp IS
'When the trade was made, before or after the move; UTC.';
