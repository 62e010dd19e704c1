CREATE OR REPLACE TRIGGER floor_after_insert AFTER INSERT ON entasis.option_data
FOR EACH STATEMENT EXECUTE FUNCTION entasis_internal.option_data_inserted();

CREATE OR REPLACE TRIGGER floor_after_update AFTER UPDATE ON entasis.option_data
REFERENCING OLD TABLE AS old_quotes NEW TABLE AS new_quotes
FOR EACH STATEMENT EXECUTE FUNCTION entasis_internal.option_data_updated();

CREATE OR REPLACE TRIGGER floor_before_delete BEFORE DELETE ON entasis.option_data
FOR EACH ROW EXECUTE FUNCTION entasis_internal.refuse_delete_below_floor('option_data');

CREATE OR REPLACE TRIGGER refuse_truncate BEFORE TRUNCATE ON entasis.option_data
FOR EACH STATEMENT EXECUTE FUNCTION entasis_internal.refuse_truncate();
