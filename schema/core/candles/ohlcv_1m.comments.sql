COMMENT ON COLUMN entasis.ohlcv_1m.symbol IS
'Instrument, in the exchange''s spelling.';
COMMENT ON COLUMN entasis.ohlcv_1m.exchange IS
'Venue: prices of two exchanges do not make one candle.';
COMMENT ON COLUMN entasis.ohlcv_1m.bucket IS
'Beginning of the bucket, UTC; trades in [bucket, bucket + interval) belong to it.';
COMMENT ON COLUMN entasis.ohlcv_1m.open IS
'Price of the trade with the smallest (timestamp, id); quote units.';
COMMENT ON COLUMN entasis.ohlcv_1m.high IS
'Highest price; quote units.';
COMMENT ON COLUMN entasis.ohlcv_1m.low IS
'Lowest price; quote units.';
COMMENT ON COLUMN entasis.ohlcv_1m.close IS
'Price of the trade with the largest (timestamp, id); quote units.';
COMMENT ON COLUMN entasis.ohlcv_1m.volume IS
'Sum of volume; base units.';
COMMENT ON COLUMN entasis.ohlcv_1m.quote_volume IS
'Sum of price * volume; quote units. quote_volume / volume is the VWAP.';
COMMENT ON COLUMN entasis.ohlcv_1m.trades IS
'How many trades.';
COMMENT ON COLUMN entasis.ohlcv_1m.opened_at IS
'Timestamp of the opening trade; UTC.';
COMMENT ON COLUMN entasis.ohlcv_1m.first_trade_id IS
'id of the opening trade.';
COMMENT ON COLUMN entasis.ohlcv_1m.closed_at IS
'Timestamp of the closing trade; UTC.';
COMMENT ON COLUMN entasis.ohlcv_1m.last_trade_id IS
'id of the closing trade.';
