COMMENT ON TABLE entasis.exchange_candles IS
'Candles as an exchange publishes them (klines): nothing reads them unless it is asked to. Partitioned by bucket. Key: (symbol, exchange, interval, bucket).';
COMMENT ON COLUMN entasis.exchange_candles.symbol IS
'Instrument in the exchange''s own spelling.';
COMMENT ON COLUMN entasis.exchange_candles.exchange IS
'Venue.';
COMMENT ON COLUMN entasis.exchange_candles.interval IS
'How long the bucket is: 1m, 3m, 5m, 15m, 30m, 1h, 2h, 4h, 6h, 8h, 12h, 1d, 3d, 1w or 1mo.';
COMMENT ON COLUMN entasis.exchange_candles.bucket IS
'When the candle begins (included); UTC, a whole minute. It ends one interval later (not included).';
COMMENT ON COLUMN entasis.exchange_candles.open IS
'First price, in quote units; between -1e20 and 1e20, at most 18 decimals. Without trades, what the exchange states.';
COMMENT ON COLUMN entasis.exchange_candles.high IS
'Highest price, as open.';
COMMENT ON COLUMN entasis.exchange_candles.low IS
'Lowest price, as open.';
COMMENT ON COLUMN entasis.exchange_candles.close IS
'Last price, as open.';
COMMENT ON COLUMN entasis.exchange_candles.volume IS
'What was traded, in the unit of the market''s volume as this exchange''s candles state it; from 0 to below 1e20, at most 18 decimals.';
COMMENT ON COLUMN entasis.exchange_candles.quote_volume IS
'The same in quote units, as the exchange rounds it; between -1e20 and 1e20, at most 18 decimals. NULL: the exchange does not state it.';
COMMENT ON COLUMN entasis.exchange_candles.trades IS
'Number of trades, from 0. NULL: the exchange does not state it.';
COMMENT ON COLUMN entasis.exchange_candles.source IS
'File or feed that it came from; 1 to 255 characters.';
COMMENT ON TYPE entasis.candle_source IS
'Where candles come from: trades for our own, exchange for those that it publishes (exchange_candles).';
