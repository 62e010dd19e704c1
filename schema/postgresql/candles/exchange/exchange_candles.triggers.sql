CREATE OR REPLACE TRIGGER floor_after_insert AFTER INSERT ON entasis.exchange_candles
REFERENCING NEW TABLE AS new_candles
FOR EACH STATEMENT EXECUTE FUNCTION entasis_internal.exchange_candles_touched();

CREATE OR REPLACE TRIGGER floor_after_update AFTER UPDATE ON entasis.exchange_candles
REFERENCING OLD TABLE AS old_candles NEW TABLE AS new_candles
FOR EACH STATEMENT EXECUTE FUNCTION entasis_internal.exchange_candles_touched();

CREATE OR REPLACE TRIGGER floor_after_delete AFTER DELETE ON entasis.exchange_candles
REFERENCING OLD TABLE AS old_candles
FOR EACH STATEMENT EXECUTE FUNCTION entasis_internal.exchange_candles_touched();

CREATE OR REPLACE TRIGGER refuse_truncate BEFORE TRUNCATE ON entasis.exchange_candles
FOR EACH STATEMENT EXECUTE FUNCTION entasis_internal.refuse_truncate();
