COMMENT ON TABLE entasis.markets IS
'The id space of each loaded market. A market has one: trades of a second one would be counted twice.';
COMMENT ON COLUMN entasis.markets.symbol IS
'Instrument, in the exchange''s spelling.';
COMMENT ON COLUMN entasis.markets.exchange IS
'Exchange.';
COMMENT ON COLUMN entasis.markets.id_space IS
'trade: the exchange''s trade ids; aggtrade: ids of aggregated trades; ordinal: positions among equal timestamps of a file without ids; or a name chosen by a loader.';
COMMENT ON COLUMN entasis.markets.source IS
'File or feed that was loaded first.';
COMMENT ON COLUMN entasis.markets.recorded_at IS
'When that was; UTC.';
