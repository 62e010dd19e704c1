CREATE OR REPLACE FUNCTION entasis_internal.match_stored_trades(
    source_name text, unit text, units text[], symbol_name text, exchange_name text,
    from_time timestamptz, to_time timestamptz
) RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET enable_nestloop = off
SET plan_cache_mode = 'force_custom_plan'
AS $$
DECLARE
    refused bigint;
BEGIN
    WITH pairs AS MATERIALIZED (
        SELECT q.* FROM (
            SELECT DISTINCT ON (s.line)
                s.*, d.timestamp AS stored_time, d.price AS stored_price, d.volume AS stored_volume,
                d.side AS stored_side,
                (
                    entasis_internal.is_same_moment(d.timestamp, s.timestamp, unit, units)
                    AND d.price = s.price AND d.volume = s.volume
                    AND (d.side = s.side OR d.side IS NULL OR s.side IS NULL)
            ) AS is_same
            FROM pg_temp.entasis_staged_trades AS s
            INNER JOIN entasis.market_data AS d ON s.id = d.id
            WHERE s.symbol = symbol_name AND s.exchange = exchange_name
                AND d.symbol = symbol_name AND d.exchange = exchange_name
                AND d.timestamp >= match_stored_trades.from_time AND d.timestamp <= match_stored_trades.to_time
            ORDER BY s.line, d.timestamp = s.timestamp DESC, is_same DESC, d.timestamp
        ) AS q
        -- what is stored under the very same key is compared when it is inserted
        WHERE q.stored_time <> q.timestamp
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
    ),
    put AS (
        INSERT INTO entasis.quarantine (relation, source, line, code, reason, payload)
        SELECT 'market_data', source_name, p.line, 'conflict',
            format(
                'trade %s of %s %s is stored at %s with price %s, volume %s and side %s; this one has the same id, at %s with %s, %s and %s',
                p.id, p.exchange, p.symbol, p.stored_time AT TIME ZONE 'UTC',
                p.stored_price, p.stored_volume, coalesce(p.stored_side, 'unknown'),
                p.timestamp AT TIME ZONE 'UTC',
                p.price, p.volume, coalesce(p.side, 'unknown')
            ),
            to_jsonb(p) - 'line' - 'is_same' - 'stored_time' - 'stored_price' - 'stored_volume'
            - 'stored_side'
        FROM pairs AS p WHERE NOT p.is_same
        ON CONFLICT DO NOTHING
    )
    SELECT count(*) INTO refused FROM pairs AS p WHERE NOT p.is_same;
    RETURN refused;
END
$$;

COMMENT ON FUNCTION entasis_internal.match_stored_trades IS
'Does for match_staged_trades() what concerns the trades of one market that are stored in [from_time, to_time]. Returns how many staged trades went to quarantine.';
