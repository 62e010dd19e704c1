CREATE OR REPLACE FUNCTION entasis.detect_anomalies(
    from_time timestamptz,
    to_time timestamptz,
    symbol_name text DEFAULT NULL,
    exchange_name text DEFAULT NULL
) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET jit = off
AS $$
DECLARE
    piece record;
    added bigint := 0;
BEGIN
    PERFORM entasis_internal.check_range_bounds(detect_anomalies.from_time, detect_anomalies.to_time);
    FOR piece IN
        SELECT d.symbol, d.exchange, d.begins_at, d.ends_at
        FROM entasis.market_days(
            detect_anomalies.symbol_name, detect_anomalies.exchange_name,
            detect_anomalies.from_time, detect_anomalies.to_time
        ) AS d
    LOOP
        added := added + entasis_internal.detect_trades(
            piece.symbol, piece.exchange, piece.begins_at, piece.ends_at
        );
    END LOOP;
    RETURN added + entasis.note_candle_differences(
        detect_anomalies.from_time, detect_anomalies.to_time,
        detect_anomalies.symbol_name, detect_anomalies.exchange_name
    );
END
$$;

COMMENT ON FUNCTION entasis.detect_anomalies IS
'Looks for anomalies in the trades and exchanges'' candles of [from_time, to_time), of all markets or of those named, whether they were examined before or not. Returns how many are new. One transaction: give it days, not years.';
