COMMENT ON VIEW entasis.ohlcv_1m IS
'Candles of one minute. A real-time continuous aggregate: it shows new trades at once, and late, corrected and deleted ones after the next refresh. A minute without a trade has no row.';
COMMENT ON VIEW entasis.ohlcv_1h IS
'Candles of one hour. A real-time continuous aggregate: it shows new trades at once, and late, corrected and deleted ones after the next refresh. An hour without a trade has no row.';
COMMENT ON VIEW entasis.ohlcv_1d IS
'Candles of one UTC day. A real-time continuous aggregate: it shows new trades at once, and late, corrected and deleted ones after the next refresh. A UTC day without a trade has no row.';
