COMMENT ON TABLE entasis.markets IS
'How each market numbers its trades and tells their times. A market has one id space: trades of a second one would be counted twice.';
COMMENT ON COLUMN entasis.markets.symbol IS
'Instrument, in the exchange''s spelling.';
COMMENT ON COLUMN entasis.markets.exchange IS
'Exchange.';
COMMENT ON COLUMN entasis.markets.id_space IS
'What numbers the trades. The exchange''s own, in which an id is stored once per market: trade (trade ids), aggtrade (aggregated trades), trade_seq (sequence of trades), sequence (sequence of messages). ordinal: positions among equal timestamps of a file without ids; digest, or another name chosen by a loader: unique per timestamp. NULL: rows came by plain SQL only; ids are taken for the exchange''s, and the first loader names their space.';
COMMENT ON COLUMN entasis.markets.source IS
'File or feed that was loaded first; sql: by plain SQL.';
COMMENT ON COLUMN entasis.markets.recorded_at IS
'When that was; UTC.';
COMMENT ON COLUMN entasis.markets.ids_rise IS
'Whether ids of the exchange''s rise with time. false: a clean load showed that they do not. NULL: not known, and nothing to the contrary was loaded.';
COMMENT ON COLUMN entasis.markets.ids_dense IS
'Whether ids of the exchange''s have no gaps, so that a missing one is a missing trade: see id_gaps(). NULL: not known.';
COMMENT ON COLUMN entasis.markets.time_units IS
'Units in which loaders declared times so far: s, ms, us. Empty: none did.';
