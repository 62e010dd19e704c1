COMMENT ON TABLE entasis.market_data IS
'Trades, one row each, as reported by the exchange. Partitioned by timestamp. Key: (symbol, timestamp, exchange, id).';
COMMENT ON COLUMN entasis.market_data.id IS
'The source''s number of the trade, unique within (symbol, exchange, timestamp). The default is a sequence, for rows inserted by hand.';
COMMENT ON COLUMN entasis.market_data.symbol IS
'Instrument, in the exchange''s spelling. Like every name: 1 to 64 characters, no space at its ends, and none for control or for the direction of text.';
COMMENT ON COLUMN entasis.market_data.exchange IS
'Exchange. Symbol and exchange identify a market.';
COMMENT ON COLUMN entasis.market_data.timestamp IS
'When the trade was made, by the exchange''s clock; UTC, to the microsecond. From 2009 on, and at most 5 minutes ahead of this server''s clock.';
COMMENT ON COLUMN entasis.market_data.price IS
'Quote units for one base unit; below 1e20, at most 18 decimals; above 0, but for markets whose kind is combo or spread in entasis.markets: there above -1e20.';
COMMENT ON COLUMN entasis.market_data.volume IS
'What was traded, in the market''s volume_unit; above 0, below 1e20, at most 18 decimals.';
COMMENT ON COLUMN entasis.market_data.created_at IS
'When the row was inserted, by this server''s clock; UTC.';
COMMENT ON COLUMN entasis.market_data.side IS
'Side of the order that took liquidity, the aggressor: buy or sell. NULL: the source does not state it.';
COMMENT ON COLUMN entasis.market_data.source_id IS
'The source''s own text of the id, where that is no 64-bit integer (a UUID, 128 bits): id is then entasis.digest_id() of it. 1 to 128 characters, as a name. NULL: id is the source''s number, or the source has none.';
COMMENT ON COLUMN entasis.market_data.excluded IS
'Why no candle counts the trade: insurance_fund, adl, block (kinds of prints, as the source flags them), confirmed_bad (the exchange withdrew it), or another word of a-z, 0-9 and _. NULL: candles count it. Ids of excluded trades are not missing.';
COMMENT ON SEQUENCE entasis.market_data_id_seq IS
'Default of market_data.id, for rows inserted by hand.';
