CREATE OR REPLACE TRIGGER floor_after_insert AFTER INSERT ON entasis.market_data
FOR EACH STATEMENT EXECUTE FUNCTION entasis_internal.market_data_inserted();

CREATE OR REPLACE TRIGGER floor_after_update AFTER UPDATE ON entasis.market_data
REFERENCING OLD TABLE AS old_trades NEW TABLE AS new_trades
FOR EACH STATEMENT EXECUTE FUNCTION entasis_internal.market_data_updated();

CREATE OR REPLACE TRIGGER floor_before_delete BEFORE DELETE ON entasis.market_data
FOR EACH ROW EXECUTE FUNCTION entasis_internal.refuse_row_below_floor('market_data');

-- AFTER ROW: a BEFORE ROW trigger has COPY insert row by row.
CREATE OR REPLACE TRIGGER price_sign_after_insert AFTER INSERT ON entasis.market_data
FOR EACH ROW WHEN (new.price <= 0) EXECUTE FUNCTION entasis_internal.refuse_price_sign();

CREATE OR REPLACE TRIGGER zz_check_price_sign BEFORE UPDATE ON entasis.market_data
FOR EACH ROW WHEN (new.price <= 0) EXECUTE FUNCTION entasis_internal.refuse_price_sign();

CREATE OR REPLACE TRIGGER refuse_truncate BEFORE TRUNCATE ON entasis.market_data
FOR EACH STATEMENT EXECUTE FUNCTION entasis_internal.refuse_truncate();
