-- Triggers of one kind fire in the order of their names. The one that notifies begins with zz_ because it
-- must not fire for a candle that protect_candle_below_floor leaves as it is.
CREATE OR REPLACE FUNCTION entasis_internal.create_candle_triggers() RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    guarded record;
BEGIN
    FOR guarded IN
        SELECT format('%I.%I', h.schema_name, h.table_name) AS hypertable, w.relation, w.source
        FROM (VALUES
            ('ohlcv_1m', 'market_data'), ('ohlcv_1h', 'ohlcv_1m'), ('ohlcv_1d', 'ohlcv_1h')
        ) AS w (relation, source)
        CROSS JOIN LATERAL entasis_internal.hypertable_of(w.relation) AS h
    LOOP
        EXECUTE format(
            'CREATE OR REPLACE TRIGGER protect_candle_below_floor BEFORE INSERT OR DELETE ON %s
            FOR EACH ROW EXECUTE FUNCTION entasis_internal.protect_candle_below_floor(%L)',
            guarded.hypertable, guarded.source
        );
        EXECUTE format(
            'CREATE OR REPLACE TRIGGER start_row_notifications BEFORE INSERT OR UPDATE OR DELETE ON %s
            FOR EACH STATEMENT EXECUTE FUNCTION entasis_internal.start_row_notifications()',
            guarded.hypertable
        );
        EXECUTE format(
            'CREATE OR REPLACE TRIGGER zz_notify_candle_change BEFORE INSERT OR UPDATE OR DELETE ON %s
            FOR EACH ROW WHEN (pg_catalog.currval(''entasis_internal.row_notifications_left'') > 0)
            EXECUTE FUNCTION entasis_internal.notify_candle_change()',
            guarded.hypertable
        );
        IF guarded.relation = 'ohlcv_1d' THEN
            EXECUTE format(
                'CREATE OR REPLACE TRIGGER record_market_of_candle AFTER INSERT ON %s
                FOR EACH ROW EXECUTE FUNCTION entasis_internal.record_market_of_candle()',
                guarded.hypertable
            );
        END IF;
    END LOOP;
END
$$;

COMMENT ON FUNCTION entasis_internal.create_candle_triggers IS
'Creates the triggers on the hypertables of the continuous aggregates, whose names TimescaleDB chooses: protect_candle_below_floor, those that notify caches of changed candles, and one that records markets.';
