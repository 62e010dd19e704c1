COMMENT ON COLUMN entasis.ohlcv_1d.symbol IS
'Instrument, in the exchange''s spelling.';
COMMENT ON COLUMN entasis.ohlcv_1d.exchange IS
'Venue: prices of two exchanges do not make one candle.';
COMMENT ON COLUMN entasis.ohlcv_1d.bucket IS
'Beginning of the bucket, UTC; trades in [bucket, bucket + interval) belong to it.';
COMMENT ON COLUMN entasis.ohlcv_1d.open IS
'Price of the trade with the smallest (timestamp, id); quote units.';
COMMENT ON COLUMN entasis.ohlcv_1d.high IS
'Highest price; quote units.';
COMMENT ON COLUMN entasis.ohlcv_1d.low IS
'Lowest price; quote units.';
COMMENT ON COLUMN entasis.ohlcv_1d.close IS
'Price of the trade with the largest (timestamp, id); quote units.';
COMMENT ON COLUMN entasis.ohlcv_1d.volume IS
'Sum of volume; base units.';
COMMENT ON COLUMN entasis.ohlcv_1d.quote_volume IS
'Sum of price * volume; quote units. quote_volume / volume is the VWAP.';
COMMENT ON COLUMN entasis.ohlcv_1d.trades IS
'How many trades.';
COMMENT ON COLUMN entasis.ohlcv_1d.opened_at IS
'Timestamp of the opening trade; UTC.';
COMMENT ON COLUMN entasis.ohlcv_1d.first_trade_id IS
'id of the opening trade.';
COMMENT ON COLUMN entasis.ohlcv_1d.closed_at IS
'Timestamp of the closing trade; UTC.';
COMMENT ON COLUMN entasis.ohlcv_1d.last_trade_id IS
'id of the closing trade.';
