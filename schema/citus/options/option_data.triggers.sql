-- One statement at a time: Citus makes a trigger on all shards, and refuses several in one string.
-- It calls triggers on shards unsafe because they may reach for what lies elsewhere. Ours keep to the shards of
-- the same symbols.
DO $triggers$
BEGIN
    SET LOCAL citus.enable_unsafe_triggers = on;
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
END
$triggers$;
