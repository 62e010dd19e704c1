COMMENT ON TABLE entasis.markets IS
'The list of instruments, one row for each on each exchange: what is traded, in which units, and how the exchange numbers the trades. Filled when a market is first written, by entasis.record_instruments() from an exchange''s list, and by entasis.set_market(). NULL: not known.';
COMMENT ON COLUMN entasis.markets.symbol IS
'Instrument, in the exchange''s spelling.';
COMMENT ON COLUMN entasis.markets.exchange IS
'Exchange.';
COMMENT ON COLUMN entasis.markets.id_space IS
'What numbers the trades. The exchange''s own, in which an id is stored once per market: trade (trade ids), aggtrade (aggregated trades), trade_seq (sequence of trades), sequence (sequence of messages). ordinal: positions among equal timestamps of a file without ids; digest, or another name chosen by a loader: unique per timestamp. NULL: rows came by plain SQL only, or none did; ids are taken for the exchange''s, and the first loader names their space.';
COMMENT ON COLUMN entasis.markets.source IS
'File or feed that was loaded first; sql: by plain SQL. At most 1024 characters. NULL: nothing was, but the instrument is known from a list or by hand.';
COMMENT ON COLUMN entasis.markets.recorded_at IS
'When the market was recorded; UTC.';
COMMENT ON COLUMN entasis.markets.ids_rise IS
'Whether ids of the exchange''s rise with time. false: a clean load showed that they do not. NULL: not known, and nothing to the contrary was loaded.';
COMMENT ON COLUMN entasis.markets.ids_dense IS
'Whether ids of the exchange''s have no gaps, so that a missing one is a missing trade: see id_gaps(). NULL: not known.';
COMMENT ON COLUMN entasis.markets.time_units IS
'Units in which loaders declared times so far: s, ms, us. Empty: none did.';
COMMENT ON COLUMN entasis.markets.kind IS
'What is traded: spot; linear_perpetual, linear_future (settled in the quote currency); inverse_perpetual, inverse_future (quoted in one currency, settled in the base); option; combo (several contracts, with options); spread (the difference of two contracts).';
COMMENT ON COLUMN entasis.markets.base IS
'Currency or asset that is priced, in the exchange''s spelling.';
COMMENT ON COLUMN entasis.markets.quote IS
'Currency that prices are in.';
COMMENT ON COLUMN entasis.markets.settlement IS
'Currency in which a contract is settled; of spot NULL.';
COMMENT ON COLUMN entasis.markets.contract_size IS
'What one contract is worth: quote units for inverse contracts (100 USD), base units for all others. Above 0, below 1e12, at most 18 decimals.';
COMMENT ON COLUMN entasis.markets.tick_size IS
'Smallest step of prices; quote units. Above 0, below 1e12, at most 18 decimals.';
COMMENT ON COLUMN entasis.markets.lot_size IS
'Smallest step of an order''s size; in volume_unit. Above 0, below 1e12, at most 18 decimals.';
COMMENT ON COLUMN entasis.markets.expiry IS
'When the contract expires; UTC. NULL: never, or not known.';
COMMENT ON COLUMN entasis.markets.volume_unit IS
'What the volume of its trades and candles counts, as the exchange sends it: base (base units), contracts (of contract_size each), quote (quote units, as Deribit''s inverse contracts).';
COMMENT ON COLUMN entasis.markets.is_active IS
'Whether it is traded, by the exchange''s list when that was read. NULL: no list said.';
COMMENT ON COLUMN entasis.markets.usual_gap IS
'The longest gap between two trades that is usual while the market is traded: a longer silence is worth an alarm. Above 0, at most 10 years.';
COMMENT ON COLUMN entasis.markets.set_by_hand IS
'Names of the columns that entasis.set_market() has set: nothing else changes these.';
