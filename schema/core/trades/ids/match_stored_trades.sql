-- All trades of the ranges are read once: without OFFSET 0, they would be read for each staged row.
CREATE OR REPLACE FUNCTION entasis_internal.match_stored_trades(
    source_name text, symbols text[], exchanges text[], from_times timestamptz[],
    to_times timestamptz[], OUT refused_symbols text[], OUT refused_exchanges text[]
)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET enable_nestloop = off
SET enable_mergejoin = off
SET jit = off
SET plan_cache_mode = 'force_custom_plan'
AS $$
DECLARE
    -- constants for the planner, which rule out partitions
    earliest timestamptz := (SELECT min(t) FROM unnest(from_times) AS t);
    latest timestamptz := (SELECT max(t) FROM unnest(to_times) AS t);
BEGIN
    WITH pairs AS MATERIALIZED (
        SELECT q.* FROM (
            SELECT DISTINCT ON (s.ctid)
                s.ctid AS place, s.*, d.timestamp AS stored_time, d.price AS stored_price,
                d.volume AS stored_volume, d.side AS stored_side,
                (
                    entasis_internal.is_same_moment(
                        d.timestamp, s.timestamp, u.time_unit, coalesce(m.time_units, '{}')
                    )
                    AND d.price = s.price AND d.volume = s.volume
                    AND (d.side = s.side OR d.side IS NULL OR s.side IS NULL)
                ) AS is_same
            FROM (
                SELECT r.symbol, r.exchange, t.*
                FROM unnest(symbols, exchanges, from_times, to_times)
                    AS r (symbol, exchange, from_time, to_time)
                CROSS JOIN LATERAL (
                    SELECT m.timestamp, m.id, m.price, m.volume, m.side
                    FROM entasis.market_data AS m
                    WHERE m.symbol = r.symbol AND m.exchange = r.exchange
                        AND m.timestamp >= r.from_time AND m.timestamp <= r.to_time
                        AND m.timestamp >= earliest AND m.timestamp <= latest
                ) AS t
                OFFSET 0
            ) AS d
            INNER JOIN pg_temp.entasis_staged_trades AS s
                ON d.symbol = s.symbol AND d.exchange = s.exchange AND d.id = s.id
            LEFT JOIN entasis.markets AS m ON d.symbol = m.symbol AND d.exchange = m.exchange
            LEFT JOIN pg_temp.entasis_staged_units AS u
                ON d.symbol = u.symbol AND d.exchange = u.exchange
            ORDER BY s.ctid, d.timestamp = s.timestamp DESC, is_same DESC, d.timestamp
        ) AS q
        -- what is stored under the very same key is compared when it is inserted
        WHERE q.stored_time <> q.timestamp
    ),
    matched AS (
        UPDATE pg_temp.entasis_staged_trades AS s SET timestamp = p.stored_time
        FROM pairs AS p
        WHERE s.ctid = p.place AND p.is_same
    ),
    differing AS (
        DELETE FROM pg_temp.entasis_staged_trades AS s
        USING pairs AS p
        WHERE s.ctid = p.place AND NOT p.is_same
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
            to_jsonb(p) - 'line' - 'place' - 'is_same' - 'stored_time' - 'stored_price'
            - 'stored_volume' - 'stored_side'
        FROM pairs AS p WHERE NOT p.is_same
        ON CONFLICT DO NOTHING
    )
    SELECT array_agg(r.symbol), array_agg(r.exchange) INTO refused_symbols, refused_exchanges
    FROM (SELECT DISTINCT p.symbol, p.exchange FROM pairs AS p WHERE NOT p.is_same) AS r;
END
$$;

COMMENT ON FUNCTION entasis_internal.match_stored_trades IS
'Does for match_staged_trades() what concerns trades that are stored: those of each market in [from_time, to_time], where a market may have several ranges. Returns the markets of which trades went to quarantine.';
