CREATE OR REPLACE FUNCTION entasis.note_candle_differences(
    from_time timestamptz,
    to_time timestamptz,
    symbol_name text DEFAULT NULL,
    exchange_name text DEFAULT NULL
) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    differing jsonb;
    added bigint;
BEGIN
    PERFORM FROM entasis.exchange_candles AS e
    WHERE e.bucket >= note_candle_differences.from_time AND e.bucket < note_candle_differences.to_time
        AND e.symbol = coalesce(note_candle_differences.symbol_name, e.symbol)
        AND e.exchange = coalesce(note_candle_differences.exchange_name, e.exchange)
    LIMIT 1;
    IF FOUND THEN
        SELECT jsonb_agg(to_jsonb(d)) INTO differing
        FROM entasis.check_exchange_candles(
            note_candle_differences.from_time, note_candle_differences.to_time,
            note_candle_differences.symbol_name, note_candle_differences.exchange_name
        ) AS d;
    END IF;
    WITH put AS (
        INSERT INTO entasis.anomalies AS a (kind, relation, symbol, exchange, begins_at, row_key, detail)
        SELECT 'candle_differs', 'exchange_candles', d.symbol, d.exchange, d.bucket,
            jsonb_build_object('interval', d.candle_interval),
            jsonb_build_object('problem', d.problem, 'stored', d.stored, 'published', d.published)
        FROM jsonb_to_recordset(coalesce(differing, '[]')) AS d (
            symbol text, exchange text, candle_interval text, bucket timestamptz, problem text, stored jsonb, published jsonb
        )
        ON CONFLICT ON CONSTRAINT anomalies_once DO UPDATE SET state = 'new', detail = excluded.detail
        WHERE a.state = 'gone'
        RETURNING a.id
    )
    SELECT count(*) INTO added FROM put;
    UPDATE entasis.anomalies AS a SET state = 'gone'
    WHERE a.relation = 'exchange_candles' AND a.kind = 'candle_differs' AND a.state = 'new'
        AND a.begins_at >= note_candle_differences.from_time AND a.begins_at < note_candle_differences.to_time
        AND a.symbol = coalesce(note_candle_differences.symbol_name, a.symbol)
        AND a.exchange = coalesce(note_candle_differences.exchange_name, a.exchange)
        AND NOT EXISTS (
            SELECT FROM jsonb_to_recordset(coalesce(differing, '[]')) AS d (
                symbol text, exchange text, candle_interval text, bucket timestamptz
            )
            WHERE d.symbol = a.symbol AND d.exchange = a.exchange AND d.bucket = a.begins_at
                AND d.candle_interval = a.row_key ->> 'interval'
        );
    RETURN added;
END
$$;

COMMENT ON FUNCTION entasis.note_candle_differences IS
'Stores in entasis.anomalies what check_exchange_candles() finds in [from_time, to_time), of all markets or of those named. Returns how many are new.';
