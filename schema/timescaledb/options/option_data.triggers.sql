-- Unlike that of market_data, the INSERT trigger has a transition table: no continuous aggregate depends on
-- the invalidations that COPY logs.
CREATE OR REPLACE TRIGGER floor_after_insert AFTER INSERT ON entasis.option_data
REFERENCING NEW TABLE AS new_quotes
FOR EACH STATEMENT EXECUTE FUNCTION entasis_internal.option_data_touched();

CREATE OR REPLACE TRIGGER floor_after_update AFTER UPDATE ON entasis.option_data
REFERENCING OLD TABLE AS old_quotes NEW TABLE AS new_quotes
FOR EACH STATEMENT EXECUTE FUNCTION entasis_internal.option_data_touched();

CREATE OR REPLACE TRIGGER start_row_notifications BEFORE DELETE ON entasis.option_data
FOR EACH STATEMENT EXECUTE FUNCTION entasis_internal.start_row_notifications();

CREATE OR REPLACE TRIGGER floor_before_delete BEFORE DELETE ON entasis.option_data
FOR EACH ROW EXECUTE FUNCTION entasis_internal.refuse_row_below_floor('option_data');

CREATE OR REPLACE TRIGGER notify_quote_change BEFORE DELETE ON entasis.option_data
FOR EACH ROW WHEN (pg_catalog.currval('entasis_internal.row_notifications_left') > 0)
EXECUTE FUNCTION entasis_internal.notify_quote_change();

CREATE OR REPLACE TRIGGER refuse_truncate BEFORE TRUNCATE ON entasis.option_data
FOR EACH STATEMENT EXECUTE FUNCTION entasis_internal.refuse_truncate();
