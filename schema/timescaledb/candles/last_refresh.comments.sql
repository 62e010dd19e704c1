COMMENT ON TABLE entasis_internal.last_refresh IS
'The last run of the refresh job that refreshed all candles; at most one row. No row: there was none yet.';
COMMENT ON COLUMN entasis_internal.last_refresh.only_row IS
'Always true: the table has one row at most.';
COMMENT ON COLUMN entasis_internal.last_refresh.started_at IS
'When it began; UTC. Candles count all trades that were committed before.';
COMMENT ON COLUMN entasis_internal.last_refresh.finished_at IS
'When the last candle was refreshed; UTC.';
