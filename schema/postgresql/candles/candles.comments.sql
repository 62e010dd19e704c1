COMMENT ON TABLE entasis.ohlcv_1m IS
'Candles of one minute, kept equal to their trades. Partitioned by bucket. A minute without a trade has no row.';
COMMENT ON TABLE entasis.ohlcv_1h IS
'Candles of one hour, kept equal to their trades. Partitioned by bucket. An hour without a trade has no row.';
COMMENT ON TABLE entasis.ohlcv_1d IS
'Candles of one UTC day, kept equal to their trades. Partitioned by bucket. A UTC day without a trade has no row.';
