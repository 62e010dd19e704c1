-- Triggers of one kind fire in the order of their names: what is kept is not told.
CREATE OR REPLACE FUNCTION entasis_internal.guard_candles() RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    guarded record;
BEGIN
    FOR guarded IN
        SELECT format('%I.%I', h.schema_name, h.table_name) AS hypertable, w.source
        FROM (VALUES
            ('ohlcv_1m', 'market_data'), ('ohlcv_1h', 'ohlcv_1m'), ('ohlcv_1d', 'ohlcv_1h')
        ) AS w (relation, source)
        CROSS JOIN LATERAL entasis_internal.hypertable_of(w.relation) AS h
    LOOP
        EXECUTE format(
            'CREATE OR REPLACE TRIGGER keep_candle_below_floor BEFORE INSERT OR DELETE ON %s
            FOR EACH ROW EXECUTE FUNCTION entasis_internal.keep_candle_below_floor(%L)',
            guarded.hypertable, guarded.source
        );
        EXECUTE format(
            'CREATE OR REPLACE TRIGGER begin_telling BEFORE INSERT OR UPDATE OR DELETE ON %s
            FOR EACH STATEMENT EXECUTE FUNCTION entasis_internal.begin_telling()',
            guarded.hypertable
        );
        EXECUTE format(
            'CREATE OR REPLACE TRIGGER tell_of_candle BEFORE INSERT OR UPDATE OR DELETE ON %s
            FOR EACH ROW WHEN (pg_catalog.current_setting(''entasis.telling'', true) > ''0'')
            EXECUTE FUNCTION entasis_internal.tell_of_candle()',
            guarded.hypertable
        );
    END LOOP;
END
$$;

COMMENT ON FUNCTION entasis_internal.guard_candles() IS
'Puts triggers on the hypertables of the continuous aggregates, whose names TimescaleDB chooses: keep_candle_below_floor, and those that tell caches which candles changed.';
