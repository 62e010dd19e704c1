CREATE OR REPLACE FUNCTION entasis_internal.clock_faults(
    symbol_name text, exchange_name text, from_time timestamptz, to_time timestamptz,
    read_from timestamptz, read_to timestamptz
) RETURNS TABLE (
    kind text, begins_at timestamptz, ends_at timestamptz, row_key jsonb,
    observed numeric, expected numeric, detail jsonb
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
    early CONSTANT numeric := entasis_internal.anomaly_limit('early_seconds');
    late CONSTANT numeric := entasis_internal.anomaly_limit('late_seconds');
    late_trades CONSTANT numeric := entasis_internal.anomaly_limit('late_trades');
BEGIN
    RETURN QUERY
    WITH trades AS (
        SELECT t.timestamp, t.id, t.created_at,
            extract(EPOCH FROM t.created_at - t.timestamp) AS seconds,
            extract(EPOCH FROM t.created_at - t.timestamp) > late AS is_late
        FROM entasis.market_data AS t
        WHERE t.symbol = symbol_name AND t.exchange = exchange_name
            AND t.timestamp >= read_from AND t.timestamp < read_to
            AND t.excluded IS NULL
    ),
    -- a file, or a gap that was filled, is many late trades in a row
    turns AS (
        SELECT t.*,
            count(*) FILTER (WHERE NOT t.is_late) OVER w AS live_before
        FROM trades AS t
        WINDOW w AS (ORDER BY t.timestamp, t.id)
    ),
    groups AS (
        SELECT t.*, count(*) OVER (PARTITION BY t.live_before) AS in_a_row
        FROM turns AS t
        WHERE t.is_late
    )
    SELECT 'stored_early', t.timestamp, NULL::timestamptz, jsonb_build_object('id', t.id),
        -t.seconds, early, jsonb_build_object('stored_at', t.created_at)
    FROM trades AS t
    WHERE -t.seconds > early
        AND t.timestamp >= clock_faults.from_time AND t.timestamp < clock_faults.to_time
    UNION ALL
    SELECT 'stored_late', g.timestamp, NULL, jsonb_build_object('id', g.id),
        g.seconds, late, jsonb_build_object('stored_at', g.created_at)
    FROM groups AS g
    -- what was there before the first live one is history
    WHERE g.in_a_row <= late_trades AND g.live_before > 0
        AND g.timestamp >= clock_faults.from_time AND g.timestamp < clock_faults.to_time;
END
$$;

COMMENT ON FUNCTION entasis_internal.clock_faults IS
'Trades of [from_time, to_time) that were stored long before their time, or long after it while those around them were not, read from [read_from, read_to). docs/quality.md has the definition.';
