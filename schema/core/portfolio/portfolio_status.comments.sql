COMMENT ON TABLE entasis.portfolio_status IS
'Snapshots of positions, one row for a position at a time: (user_id, asset_type, timestamp) is unique. Row-level security by acting_user_id(). Not dropped by entasis.maintain().';
COMMENT ON COLUMN entasis.portfolio_status.id IS
'Identifies the snapshot; from a sequence.';
COMMENT ON COLUMN entasis.portfolio_status.user_id IS
'User that the position belongs to.';
COMMENT ON COLUMN entasis.portfolio_status.asset_type IS
'Asset that is held.';
COMMENT ON COLUMN entasis.portfolio_status.position_size IS
'Units held; below 0 for a short position; between -1e20 and 1e20, at most 18 decimals. An INSERT of double precision keeps 15 digits; entasis.write_position() keeps all, and rounds what does not fit.';
COMMENT ON COLUMN entasis.portfolio_status.entry_price IS
'Average price paid, quote units for one unit; below 0 where a spread or combo was opened for a credit; between -1e20 and 1e20, at most 18 decimals. An INSERT of double precision keeps 15 digits; entasis.write_position() keeps all, and rounds what does not fit.';
COMMENT ON COLUMN entasis.portfolio_status.current_price IS
'Price at the snapshot, quote units for one unit; may be below 0 for a spread or combo; between -1e20 and 1e20, at most 18 decimals. An INSERT of double precision keeps 15 digits; entasis.write_position() keeps all, and rounds what does not fit.';
COMMENT ON COLUMN entasis.portfolio_status.pnl IS
'Profit (above 0) or loss (below 0) in quote units, as computed by the writer; between -1e24 and 1e24, at most 24 decimals. An INSERT of double precision keeps 15 digits; entasis.write_position() keeps all, and rounds what does not fit.';
COMMENT ON COLUMN entasis.portfolio_status.timestamp IS
'When the snapshot was taken; UTC.';
COMMENT ON SEQUENCE entasis.portfolio_status_id_seq IS
'Default of portfolio_status.id.';
