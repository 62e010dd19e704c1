-- All trades of the ranges are read once, by the key: without OFFSET 0, they would be read for each staged row, and by the
-- index of the exchange, which has the trades of all its markets, if the condition on the exchange fitted it.
CREATE OR REPLACE FUNCTION entasis_internal.match_stored_trades(
    source_name text, symbols text[], exchanges text[], from_times timestamptz[],
    to_times timestamptz[], OUT refused_symbols text[], OUT refused_exchanges text[],
    OUT stored tid[], OUT is_changed boolean
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
    WITH found AS MATERIALIZED (
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
            SELECT r.symbol, r.exchange, d.*
            FROM unnest(symbols, exchanges, from_times, to_times)
                AS r (symbol, exchange, from_time, to_time)
            CROSS JOIN LATERAL (
                SELECT t.timestamp, t.id, t.price, t.volume, t.side
                FROM entasis.market_data AS t
                WHERE t.symbol = r.symbol AND t.exchange || '' = r.exchange
                    AND t.timestamp >= r.from_time AND t.timestamp <= r.to_time
                    AND t.timestamp >= earliest AND t.timestamp <= latest
                OFFSET 0
            ) AS d
            OFFSET 0
        ) AS d
        INNER JOIN pg_temp.entasis_staged_trades AS s
            ON d.symbol = s.symbol AND d.exchange = s.exchange AND d.id = s.id
        LEFT JOIN entasis.markets AS m ON d.symbol = m.symbol AND d.exchange = m.exchange
        LEFT JOIN pg_temp.entasis_staged_units AS u
            ON d.symbol = u.symbol AND d.exchange = u.exchange
        ORDER BY s.ctid, d.timestamp = s.timestamp DESC, is_same DESC, d.timestamp
    ),
    pairs AS (
        -- what is stored under the very same key is compared when it is inserted
        SELECT f.* FROM found AS f WHERE f.stored_time <> f.timestamp
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
    SELECT
        array_agg(f.symbol) FILTER (WHERE f.stored_time <> f.timestamp AND NOT f.is_same),
        array_agg(f.exchange) FILTER (WHERE f.stored_time <> f.timestamp AND NOT f.is_same),
        coalesce(array_agg(f.place) FILTER (WHERE f.stored_time = f.timestamp), '{}'),
        coalesce(bool_or(f.stored_time <> f.timestamp), false)
    INTO refused_symbols, refused_exchanges, stored, is_changed
    FROM found AS f;
END
$$;

COMMENT ON FUNCTION entasis_internal.match_stored_trades IS
'Does for match_staged_trades() what concerns trades that are stored: those of each market in [from_time, to_time], where a market may have several ranges. Returns the market of each trade that went to quarantine, the ctids of the trades that are stored under their very key, and whether others were found.';
