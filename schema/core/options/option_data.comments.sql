COMMENT ON TABLE entasis.option_data IS
'Quotes of option contracts, one row each. Partitioned by timestamp. Key: (underlying, expiry_date, strike_price, option_type, timestamp, id).';
COMMENT ON COLUMN entasis.option_data.id IS
'Distinguishes quotes of one contract at one timestamp: the source''s number, or the ordinal among those that differ. The default is a sequence, for rows inserted by hand.';
COMMENT ON COLUMN entasis.option_data.underlying IS
'Underlying asset of the option.';
COMMENT ON COLUMN entasis.option_data.strike_price IS
'Strike, in quote units of the underlying; above 0, below 1e12, at most 12 decimals.';
COMMENT ON COLUMN entasis.option_data.expiry_date IS
'When the contract expires; UTC. Midnight if the source gives only a date.';
COMMENT ON COLUMN entasis.option_data.option_type IS
'call or put.';
COMMENT ON COLUMN entasis.option_data.iv IS
'Implied volatility, a fraction per year (0.65, never 65); from 0 to below 1e6, at most 18 decimals. NULL: the source gave none.';
COMMENT ON COLUMN entasis.option_data.delta IS
'Change of the option''s price per unit of the underlying''s price; at most 18 decimals. NULL: the source gave none.';
COMMENT ON COLUMN entasis.option_data.gamma IS
'Change of delta per unit of the underlying''s price; at most 18 decimals. NULL: the source gave none.';
COMMENT ON COLUMN entasis.option_data.theta IS
'Change of the option''s price per day, as the source states it; at most 18 decimals. NULL: the source gave none.';
COMMENT ON COLUMN entasis.option_data.vega IS
'Change of the option''s price per point of volatility, as the source states it; at most 18 decimals. NULL: the source gave none.';
COMMENT ON COLUMN entasis.option_data.timestamp IS
'When the quote was made; UTC, to the microsecond. Midnight if the source gives only a date.';
COMMENT ON SEQUENCE entasis.option_data_id_seq IS
'Default of option_data.id, for rows inserted by hand.';
