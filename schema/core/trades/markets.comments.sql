COMMENT ON TABLE entasis.markets IS
'How the trades of each loaded market are numbered. A market has one id space: a second one would count its trades twice.';
COMMENT ON COLUMN entasis.markets.symbol IS
'Instrument, in the exchange''s spelling.';
COMMENT ON COLUMN entasis.markets.exchange IS
'Venue.';
COMMENT ON COLUMN entasis.markets.id_space IS
'trade: the exchange''s trade ids; aggtrade: ids of aggregated trades; ordinal: positions among equal timestamps of a file without ids; or a name of a loader''s own.';
COMMENT ON COLUMN entasis.markets.source IS
'File or feed that was loaded first.';
COMMENT ON COLUMN entasis.markets.recorded_at IS
'When; UTC.';
