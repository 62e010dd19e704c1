-- One statement at a time: Citus makes a trigger on all shards, and refuses several in one string.
-- It calls triggers on shards unsafe because they may reach for what lies elsewhere. Ours keep to the shards of
-- the same symbols.
DO $triggers$
BEGIN
    SET LOCAL citus.enable_unsafe_triggers = on;
    CREATE OR REPLACE TRIGGER candles_after_insert AFTER INSERT ON entasis.market_data
    REFERENCING NEW TABLE AS new_trades
    FOR EACH STATEMENT EXECUTE FUNCTION entasis_internal.market_data_inserted();

    CREATE OR REPLACE TRIGGER candles_after_update AFTER UPDATE ON entasis.market_data
    REFERENCING OLD TABLE AS old_trades NEW TABLE AS new_trades
    FOR EACH STATEMENT EXECUTE FUNCTION entasis_internal.market_data_updated();

    CREATE OR REPLACE TRIGGER candles_after_delete AFTER DELETE ON entasis.market_data
    REFERENCING OLD TABLE AS old_trades
    FOR EACH STATEMENT EXECUTE FUNCTION entasis_internal.market_data_deleted();

    -- zz_ makes it the last row trigger: an earlier one may still change the row.
    CREATE OR REPLACE TRIGGER zz_record_moved_trade BEFORE UPDATE ON entasis.market_data
    FOR EACH ROW EXECUTE FUNCTION entasis_internal.record_moved_trade();

    CREATE OR REPLACE TRIGGER zz_check_price_sign BEFORE UPDATE ON entasis.market_data
    FOR EACH ROW EXECUTE FUNCTION entasis_internal.refuse_price_sign();

    CREATE OR REPLACE TRIGGER refuse_truncate BEFORE TRUNCATE ON entasis.market_data
    FOR EACH STATEMENT EXECUTE FUNCTION entasis_internal.refuse_truncate();

    CREATE OR REPLACE TRIGGER ids_after_insert AFTER INSERT ON entasis.market_data
    REFERENCING NEW TABLE AS new_trades
    FOR EACH STATEMENT EXECUTE FUNCTION entasis_internal.refuse_repeated_ids();
END
$triggers$;
