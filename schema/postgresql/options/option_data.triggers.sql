CREATE OR REPLACE TRIGGER floor_after_insert AFTER INSERT ON entasis.option_data
REFERENCING NEW TABLE AS new_quotes
FOR EACH STATEMENT EXECUTE FUNCTION entasis_internal.option_data_touched();

CREATE OR REPLACE TRIGGER floor_after_update AFTER UPDATE ON entasis.option_data
REFERENCING OLD TABLE AS old_quotes NEW TABLE AS new_quotes
FOR EACH STATEMENT EXECUTE FUNCTION entasis_internal.option_data_touched();

CREATE OR REPLACE TRIGGER floor_after_delete AFTER DELETE ON entasis.option_data
REFERENCING OLD TABLE AS old_quotes
FOR EACH STATEMENT EXECUTE FUNCTION entasis_internal.option_data_touched();

CREATE OR REPLACE TRIGGER refuse_truncate BEFORE TRUNCATE ON entasis.option_data
FOR EACH STATEMENT EXECUTE FUNCTION entasis_internal.refuse_truncate();
