COMMENT ON SCHEMA entasis IS
'Entasis DB: trades, option quotes, predictions, portfolios and candles. The public interface.';
COMMENT ON SCHEMA entasis_internal IS
'Entasis DB: the implementation, and the partitions of the tables of entasis. Not for callers: anything may change with a release.';
COMMENT ON SCHEMA entasis_migrations IS
'Entasis DB: the ledger of applied migrations, kept by yoyo, and the checksums of their texts. entasis.migrations shows both.';
COMMENT ON TYPE entasis.candle_interval IS
'The intervals that candles come in. 1m is a minute, 1mo a calendar month.';
