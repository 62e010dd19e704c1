CREATE OR REPLACE FUNCTION entasis_internal.guard_candles() RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    guarded record;
BEGIN
    FOR guarded IN
        SELECT h.schema_name, h.table_name, w.source
        FROM (VALUES
            ('ohlcv_1m', 'market_data'), ('ohlcv_1h', 'ohlcv_1m'), ('ohlcv_1d', 'ohlcv_1h')
        ) AS w (relation, source)
        CROSS JOIN LATERAL entasis_internal.hypertable_of(w.relation) AS h
    LOOP
        EXECUTE format(
            'CREATE OR REPLACE TRIGGER keep_candle_below_floor BEFORE INSERT OR DELETE ON %I.%I
            FOR EACH ROW EXECUTE FUNCTION entasis_internal.keep_candle_below_floor(%L)',
            guarded.schema_name, guarded.table_name, guarded.source
        );
    END LOOP;
END
$$;

COMMENT ON FUNCTION entasis_internal.guard_candles() IS
'Puts the trigger keep_candle_below_floor on the hypertables of the continuous aggregates, whose names TimescaleDB chooses.';
