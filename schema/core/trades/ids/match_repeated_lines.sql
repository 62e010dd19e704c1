CREATE OR REPLACE FUNCTION entasis_internal.match_repeated_lines(
    source_name text, unit text, units text[], symbol_name text, exchange_name text
) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET enable_nestloop = off
SET plan_cache_mode = 'force_custom_plan'
AS $$
BEGIN
    WITH pairs AS MATERIALIZED (
        SELECT
            s.*, f.timestamp AS stored_time, f.price AS stored_price, f.volume AS stored_volume,
            f.side AS stored_side,
            (
                entasis_internal.is_same_moment(f.timestamp, s.timestamp, unit, units)
                AND f.price = s.price AND f.volume = s.volume
                AND (f.side = s.side OR f.side IS NULL OR s.side IS NULL)
            ) AS is_same
        FROM pg_temp.entasis_staged_trades AS s
        INNER JOIN (
            SELECT DISTINCT ON (t.id) t.id, t.timestamp, t.price, t.volume, t.side
            FROM pg_temp.entasis_staged_trades AS t
            WHERE t.symbol = symbol_name AND t.exchange = exchange_name
            ORDER BY t.id, t.line
        ) AS f ON s.id = f.id
        WHERE s.symbol = symbol_name AND s.exchange = exchange_name AND s.timestamp <> f.timestamp
    ),
    matched AS (
        UPDATE pg_temp.entasis_staged_trades AS s SET timestamp = p.stored_time
        FROM pairs AS p
        WHERE s.line = p.line AND p.is_same
    ),
    differing AS (
        DELETE FROM pg_temp.entasis_staged_trades AS s
        USING pairs AS p
        WHERE s.line = p.line AND NOT p.is_same
    )
    INSERT INTO entasis.quarantine (relation, source, line, code, reason, payload)
    SELECT 'market_data', source_name, p.line, 'conflict',
        format(
            'trade %s of %s %s is told before at %s with price %s, volume %s and side %s; this one has the same id, at %s with %s, %s and %s',
            p.id, p.exchange, p.symbol, p.stored_time AT TIME ZONE 'UTC',
            p.stored_price, p.stored_volume, coalesce(p.stored_side, 'unknown'),
            p.timestamp AT TIME ZONE 'UTC',
            p.price, p.volume, coalesce(p.side, 'unknown')
        ),
        to_jsonb(p) - 'line' - 'is_same' - 'stored_time' - 'stored_price' - 'stored_volume'
        - 'stored_side'
    FROM pairs AS p WHERE NOT p.is_same
    ON CONFLICT DO NOTHING;
END
$$;

COMMENT ON FUNCTION entasis_internal.match_repeated_lines IS
'Does for match_staged_trades() what concerns ids that stand in several lines of one market: the first line is the trade. The others are that trade or go to quarantine.';
