-- Hardly any batch has such lines: a look for their ids comes first.
CREATE OR REPLACE FUNCTION entasis_internal.match_repeated_lines(
    source_name text, symbols text[], exchanges text[]
) RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET enable_nestloop = off
SET enable_mergejoin = off
SET jit = off
AS $$
BEGIN
    PERFORM FROM pg_temp.entasis_staged_trades AS s
    GROUP BY s.symbol, s.exchange, s.id
    HAVING count(*) > 1
    LIMIT 1;
    IF NOT FOUND THEN
        RETURN false;
    END IF;

    WITH pairs AS MATERIALIZED (
        SELECT
            s.ctid AS place, s.*, f.timestamp AS stored_time, f.price AS stored_price,
            f.volume AS stored_volume, f.side AS stored_side,
            (
                entasis_internal.is_same_moment(
                    f.timestamp, s.timestamp, u.time_unit, coalesce(m.time_units, '{}')
                )
                AND f.price = s.price AND f.volume = s.volume
                AND (f.side = s.side OR f.side IS NULL OR s.side IS NULL)
            ) AS is_same
        FROM pg_temp.entasis_staged_trades AS s
        INNER JOIN (
            SELECT DISTINCT ON (t.symbol, t.exchange, t.id) t.*
            FROM pg_temp.entasis_staged_trades AS t
            INNER JOIN (
                SELECT DISTINCT g.symbol, g.exchange FROM unnest(symbols, exchanges) AS g (symbol, exchange)
            ) AS g ON t.symbol = g.symbol AND t.exchange = g.exchange
            ORDER BY t.symbol, t.exchange, t.id, t.line
        ) AS f ON s.symbol = f.symbol AND s.exchange = f.exchange AND s.id = f.id
        LEFT JOIN entasis.markets AS m ON s.symbol = m.symbol AND s.exchange = m.exchange
        LEFT JOIN pg_temp.entasis_staged_units AS u
            ON s.symbol = u.symbol AND s.exchange = u.exchange
        WHERE s.timestamp <> f.timestamp
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
        to_jsonb(p) - 'line' - 'place' - 'is_same' - 'stored_time' - 'stored_price'
        - 'stored_volume' - 'stored_side'
    FROM pairs AS p WHERE NOT p.is_same
    ON CONFLICT DO NOTHING;
    RETURN true;
END
$$;

COMMENT ON FUNCTION entasis_internal.match_repeated_lines IS
'Does for match_staged_trades() what concerns ids that stand in several lines of one market, of these markets: the first line is the trade. The others are that trade or go to quarantine. Returns whether there were any, those with the same time included.';
