COMMENT ON TABLE entasis.option_data IS
'Quotes of option contracts, one row each. Partitioned by timestamp. Key: (underlying, expiry_date, strike_price, option_type, timestamp, id).';
COMMENT ON COLUMN entasis.option_data.id IS
'Distinguishes quotes of one contract at one timestamp: the source''s number, or the ordinal among those that differ. The default is a sequence, for rows inserted by hand.';
COMMENT ON COLUMN entasis.option_data.underlying IS
'Underlying asset of the option.';
COMMENT ON COLUMN entasis.option_data.strike_price IS
'Strike, in quote units of the underlying; above 0, below 1e12, at most 12 decimals.';
COMMENT ON COLUMN entasis.option_data.expiry_date IS
'When the contract expires; UTC. If the source gives only a date, the last microsecond of that day (23:59:59.999999) in the zone that the loader was told, by default UTC.';
COMMENT ON COLUMN entasis.option_data.option_type IS
'call or put.';
COMMENT ON COLUMN entasis.option_data.iv IS
'Implied volatility of the mark price, or the only one that the source states: a fraction per year (0.65, never 65); from 0 to below 1e6, at most 18 decimals (loaders round half to even). NULL: the source gave none, or one that is not a number or out of bounds.';
COMMENT ON COLUMN entasis.option_data.delta IS
'Change of the option''s price per unit of the underlying''s price; at most 18 decimals (loaders round half to even). NULL: the source gave none, or one that is not a number or out of bounds.';
COMMENT ON COLUMN entasis.option_data.gamma IS
'Change of delta per unit of the underlying''s price; at most 18 decimals (loaders round half to even). NULL: the source gave none, or one that is not a number or out of bounds.';
COMMENT ON COLUMN entasis.option_data.theta IS
'Change of the option''s price per day, as the source states it; at most 18 decimals (loaders round half to even). NULL: the source gave none, or one that is not a number or out of bounds.';
COMMENT ON COLUMN entasis.option_data.vega IS
'Change of the option''s price per point of volatility, as the source states it; at most 18 decimals (loaders round half to even). NULL: the source gave none, or one that is not a number or out of bounds.';
COMMENT ON COLUMN entasis.option_data.timestamp IS
'When the quote was made; UTC, to the microsecond. The beginning of that day, in the zone that the loader was told (default UTC), if the source gives only a date.';
COMMENT ON COLUMN entasis.option_data.bid_price IS
'Best bid for one unit of the option. In the units in which the venue quotes the contract: Deribit''s contracts that are settled in the coin are quoted in the underlying (0.07 BTC), its USDC contracts and those on stocks in quote units. As sent: some venues send 0 where nobody bids. From 0 to below 1e20, at most 18 decimals. NULL: the source gave none.';
COMMENT ON COLUMN entasis.option_data.ask_price IS
'Best ask for one unit of the option; units as of bid_price. As sent: some venues send 0 where nobody offers. From 0 to below 1e20, at most 18 decimals. NULL: the source gave none.';
COMMENT ON COLUMN entasis.option_data.mark_price IS
'What the venue takes the option to be worth; units as of bid_price. From 0 to below 1e20, at most 18 decimals. NULL: the source gave none.';
COMMENT ON COLUMN entasis.option_data.bid_iv IS
'Implied volatility of the best bid, as iv. Some venues send 0 where nobody bids. NULL: as of iv.';
COMMENT ON COLUMN entasis.option_data.ask_iv IS
'Implied volatility of the best ask, as iv. NULL: as of iv.';
COMMENT ON COLUMN entasis.option_data.underlying_price IS
'Price of what the option is on, at the time of the quote: quote units for one unit of the underlying, as strike_price. At Deribit that of the future of the same expiry, or a synthetic one. From 0 to below 1e20, at most 18 decimals. NULL: the source gave none.';
COMMENT ON COLUMN entasis.option_data.open_interest IS
'How much of the contract is open, in the venue''s contracts (at Deribit units of the underlying, on SPY contracts of 100 shares). From 0 to below 1e20, at most 18 decimals. NULL: the source gave none.';
COMMENT ON COLUMN entasis.option_data.rho IS
'Change of the option''s price per point of the interest rate, as the source states it; at most 18 decimals (loaders round half to even). NULL: the source gave none, or one that is not a number or out of bounds.';
COMMENT ON SEQUENCE entasis.option_data_id_seq IS
'Default of option_data.id, for rows inserted by hand.';
