CREATE OR REPLACE TRIGGER floor_after_insert AFTER INSERT ON entasis.market_data
FOR EACH STATEMENT EXECUTE FUNCTION entasis_internal.market_data_inserted();

CREATE OR REPLACE TRIGGER floor_after_update AFTER UPDATE ON entasis.market_data
REFERENCING OLD TABLE AS old_trades NEW TABLE AS new_trades
FOR EACH STATEMENT EXECUTE FUNCTION entasis_internal.market_data_updated();

CREATE OR REPLACE TRIGGER floor_before_delete BEFORE DELETE ON entasis.market_data
FOR EACH ROW EXECUTE FUNCTION entasis_internal.refuse_row_below_floor('market_data');

CREATE OR REPLACE TRIGGER refuse_truncate BEFORE TRUNCATE ON entasis.market_data
FOR EACH STATEMENT EXECUTE FUNCTION entasis_internal.refuse_truncate();
