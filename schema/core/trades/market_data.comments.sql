COMMENT ON TABLE entasis.market_data IS
'Trades, one row each, as their exchanges reported them. Partitioned by timestamp. The key is (symbol, exchange, timestamp, id).';
COMMENT ON COLUMN entasis.market_data.id IS
'The source''s own number of the trade; unique within (symbol, exchange, timestamp). The default is a sequence, for rows made by hand.';
COMMENT ON COLUMN entasis.market_data.symbol IS
'Instrument, in the exchange''s spelling.';
COMMENT ON COLUMN entasis.market_data.exchange IS
'Venue. Symbol and exchange make a market.';
COMMENT ON COLUMN entasis.market_data.timestamp IS
'When the trade was made, by the exchange''s clock; UTC, kept to the microsecond.';
COMMENT ON COLUMN entasis.market_data.price IS
'Quote units for one base unit; above 0, below 1e12, at most 12 decimals.';
COMMENT ON COLUMN entasis.market_data.volume IS
'Base units traded; above 0, below 1e12, at most 12 decimals.';
COMMENT ON COLUMN entasis.market_data.created_at IS
'When the row was stored, by this server''s clock.';
COMMENT ON SEQUENCE entasis.market_data_id_seq IS
'Default of market_data.id, for rows made by hand.';
