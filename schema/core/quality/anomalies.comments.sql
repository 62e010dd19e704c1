COMMENT ON TABLE entasis.anomalies IS
'What detection has found in stored rows, what ingest refused, and candles that differ from the exchange''s: a row for each thing, found once. docs/quality.md has the definitions.';
COMMENT ON COLUMN entasis.anomalies.id IS
'Identifies it; from a sequence.';
COMMENT ON COLUMN entasis.anomalies.kind IS
'price_spike, volume_spike, stuck_price, stored_early, stored_late, misplaced, duplicate (of trades); crossed_quote, impossible_delta, negative_gamma, zero_iv, below_intrinsic (of quotes); refused (a row in quarantine); candle_differs (from the exchange''s own).';
COMMENT ON COLUMN entasis.anomalies.relation IS
'Relation whose row it is, or was meant to be.';
COMMENT ON COLUMN entasis.anomalies.symbol IS
'Instrument; of quotes the underlying. NULL: the refused row does not say.';
COMMENT ON COLUMN entasis.anomalies.exchange IS
'Exchange. NULL: of quotes, or the refused row does not say.';
COMMENT ON COLUMN entasis.anomalies.begins_at IS
'Timestamp of the row, or of the first one; bucket of a candle; of a refused row, when it was refused; UTC.';
COMMENT ON COLUMN entasis.anomalies.ends_at IS
'Timestamp of the last row of a stuck price; UTC. NULL: it is about one row.';
COMMENT ON COLUMN entasis.anomalies.row_key IS
'What beside symbol, exchange and begins_at identifies the row: id of a trade; expiry_date, strike_price, option_type and id of a quote; interval of a candle; quarantine, the id there.';
COMMENT ON COLUMN entasis.anomalies.observed IS
'The number that stands out, in the unit of its column; trades of a stuck price; seconds of what was stored early or late. NULL: it is no number.';
COMMENT ON COLUMN entasis.anomalies.expected IS
'What it was compared with, in the same unit. NULL: it is no number.';
COMMENT ON COLUMN entasis.anomalies.detail IS
'What else tells why: an object.';
COMMENT ON COLUMN entasis.anomalies.found_at IS
'When it was first found; UTC.';
COMMENT ON COLUMN entasis.anomalies.state IS
'new; acknowledged, confirmed or dismissed by somebody; gone: nobody had decided, and it is not so any more.';
COMMENT ON COLUMN entasis.anomalies.decided_at IS
'When that was decided; UTC. NULL: it was not.';
COMMENT ON COLUMN entasis.anomalies.decided_by IS
'Login that decided. NULL: nobody has.';
COMMENT ON COLUMN entasis.anomalies.note IS
'What that login said about it. NULL: nothing.';
COMMENT ON COLUMN entasis.anomalies.excluded_as IS
'The word that confirming it has put into market_data.excluded, which dismissing it takes away. NULL: it has set nothing.';
COMMENT ON TABLE entasis.anomaly_limits IS
'From where on something stands out, a row for each limit: docs/quality.md says what they mean.';
COMMENT ON COLUMN entasis.anomaly_limits.name IS
'The limit.';
COMMENT ON COLUMN entasis.anomaly_limits.value IS
'Its value, from 0 to below 1e20, in the unit that docs/quality.md gives.';
COMMENT ON TABLE entasis_internal.examined_days IS
'What the candles of a market''s UTC day were when its trades were examined: a day that differs is examined again.';
COMMENT ON COLUMN entasis_internal.examined_days.symbol IS
'Instrument.';
COMMENT ON COLUMN entasis_internal.examined_days.exchange IS
'Exchange.';
COMMENT ON COLUMN entasis_internal.examined_days.day IS
'Beginning of the day; UTC.';
COMMENT ON COLUMN entasis_internal.examined_days.candle IS
'The daily candle: trades, volume, quote volume, highest and lowest price, last trade.';
COMMENT ON COLUMN entasis_internal.examined_days.hourly IS
'The same of each hour with trades, by its beginning (seconds since 1970).';
COMMENT ON TABLE entasis_internal.examined_up_to IS
'Up to which moment quotes and quarantine were examined.';
COMMENT ON COLUMN entasis_internal.examined_up_to.relation IS
'option_data or quarantine.';
COMMENT ON COLUMN entasis_internal.examined_up_to.up_to IS
'Timestamp of the newest quote, or when the newest row was refused; UTC.';

INSERT INTO entasis.anomaly_limits (name, value)
VALUES
('price_jump', 0.0125),
('price_deviations', 6),
('price_usual_jumps', 3),
('volume_times', 15),
('volume_times_most', 150),
('stuck_trades', 20),
('stuck_times', 4),
('early_seconds', 10),
('late_seconds', 600),
('late_trades', 20),
('misplaced_seconds', 5),
('duplicate_ids_apart', 1000),
('delta', 1.000001),
('gamma', 0.000000001),
('intrinsic_of_price', 0.005),
('intrinsic_per_year', 0.1)
ON CONFLICT (name) DO NOTHING;
