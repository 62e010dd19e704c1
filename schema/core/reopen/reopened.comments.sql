COMMENT ON TABLE entasis.reopened IS
'Ranges below the floor that may be written, because every trade that their candles count is stored, or no candle is left there. Written by entasis.reopen(), and by the drop of what was reopened.';
COMMENT ON COLUMN entasis.reopened.relation IS
'market_data or option_data.';
COMMENT ON COLUMN entasis.reopened.symbol IS
'Instrument; of option_data, the underlying. NULL: all markets.';
COMMENT ON COLUMN entasis.reopened.exchange IS
'Exchange. NULL: all markets, or the quotes of an underlying, which have none.';
COMMENT ON COLUMN entasis.reopened.from_time IS
'First moment of the range, included; start of a UTC day.';
COMMENT ON COLUMN entasis.reopened.to_time IS
'First moment after the range; end of a UTC day, or the floor when it was reopened.';
COMMENT ON COLUMN entasis.reopened.keep_until IS
'Until when maintain() leaves the range there, whatever its keep period; UTC. Then it goes like any other, once it is archived again.';
COMMENT ON COLUMN entasis.reopened.opened_at IS
'Since when it may be written; UTC. NULL: its candles are being made; reopen() was interrupted, or still runs.';
