-- What is out of line by more than a moment: within one, exchanges and units of time put ids in any order.
CREATE OR REPLACE FUNCTION entasis_internal.id_faults(
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
    apart CONSTANT interval := entasis_internal.anomaly_limit('misplaced_seconds') * interval '1 second';
    ids_apart CONSTANT numeric := entasis_internal.anomaly_limit('duplicate_ids_apart');
    has_ids boolean;
BEGIN
    SELECT entasis_internal.is_exchange_id(max(m.id_space)) INTO has_ids
    FROM entasis.markets AS m
    WHERE m.symbol = symbol_name AND m.exchange = exchange_name;

    RETURN QUERY
    WITH steps AS (
        SELECT t.timestamp, t.id, t.price, t.volume, t.side, t.created_at, t.excluded,
            coalesce(t.id < lag(t.id) OVER (ORDER BY t.timestamp, t.id), false)::integer AS is_descent
        FROM entasis.market_data AS t
        WHERE t.symbol = symbol_name AND t.exchange = exchange_name
            AND t.timestamp >= read_from AND t.timestamp < read_to
    ),
    trades AS MATERIALIZED (
        SELECT s.*, sum(s.is_descent) OVER (
            ORDER BY s.timestamp, s.id ROWS BETWEEN 3 PRECEDING AND 3 FOLLOWING
        ) AS descents
        FROM steps AS s
    ),
    misplaced AS (
        SELECT t.timestamp, t.id, CASE WHEN t.id < b.middle THEN b.middle ELSE a.middle END AS expected
        FROM trades AS t
        CROSS JOIN LATERAL (
            SELECT CASE WHEN count(*) >= 4 THEN entasis_internal.median(array_agg(o.id::numeric)) END AS middle
            FROM (
                SELECT d.id FROM entasis.market_data AS d
                WHERE d.symbol = symbol_name AND d.exchange = exchange_name
                    AND d.timestamp >= read_from AND d.timestamp < t.timestamp - apart
                ORDER BY d.timestamp DESC, d.id DESC
                LIMIT 7
            ) AS o
        ) AS b
        CROSS JOIN LATERAL (
            SELECT CASE WHEN count(*) >= 4 THEN entasis_internal.median(array_agg(o.id::numeric)) END AS middle
            FROM (
                SELECT d.id FROM entasis.market_data AS d
                WHERE d.symbol = symbol_name AND d.exchange = exchange_name
                    AND d.timestamp > t.timestamp + apart AND d.timestamp < read_to
                ORDER BY d.timestamp, d.id
                LIMIT 7
            ) AS o
        ) AS a
        WHERE has_ids AND t.excluded IS NULL AND t.descents > 0
            AND (t.id < b.middle OR t.id > a.middle)
    ),
    -- the same trade at the same moment, told with another id
    told_again AS (
        SELECT t.*, m.id IS NOT NULL AS is_misplaced, first_value(t.id) OVER k AS first_id,
            first_value(t.created_at) OVER k AS first_stored, first_value(t.side) OVER k AS first_side,
            max(t.timestamp) OVER f AS last_time, max(t.side) OVER f AS last_side,
            min(t.side) OVER f AS least_side
        FROM trades AS t
        LEFT JOIN misplaced AS m ON t.timestamp = m.timestamp AND t.id = m.id
        WINDOW k AS (
            PARTITION BY t.timestamp, t.price, t.volume
            ORDER BY (m.id IS NOT NULL), t.created_at, t.id
        ),
        f AS (PARTITION BY date_trunc('milliseconds', t.timestamp), t.price, t.volume)
    ),
    -- the same id at another time
    repeated AS (
        SELECT t.*, first_value(t.timestamp) OVER k AS first_time
        FROM trades AS t
        WHERE has_ids
        WINDOW k AS (PARTITION BY t.id ORDER BY t.created_at, t.timestamp)
    ),
    duplicates AS (
        SELECT d.timestamp, d.id, d.timestamp AS other_time, d.first_id AS other_id
        FROM told_again AS d
        WHERE d.id <> d.first_id AND d.excluded IS NULL AND coalesce(d.side = d.first_side, true)
            AND CASE
                WHEN has_ids THEN d.is_misplaced OR abs(d.id::numeric - d.first_id) > ids_apart
                ELSE d.created_at > d.first_stored
            END
        UNION
        SELECT d.timestamp, d.id, d.first_time, d.id
        FROM repeated AS d
        WHERE d.timestamp <> d.first_time AND d.excluded IS NULL
        UNION
        -- the same trade in milliseconds and finer
        SELECT d.timestamp, d.id, d.last_time, NULL
        FROM told_again AS d
        WHERE d.timestamp = date_trunc('milliseconds', d.timestamp) AND d.timestamp < d.last_time
            AND d.excluded IS NULL AND coalesce(d.last_side = d.least_side, true)
    )
    SELECT DISTINCT ON (d.timestamp, d.id) 'duplicate', d.timestamp, NULL::timestamptz, jsonb_build_object('id', d.id),
        d.id::numeric, d.other_id::numeric, jsonb_build_object('is_stored_at', d.other_time)
    FROM duplicates AS d
    WHERE d.timestamp >= id_faults.from_time AND d.timestamp < id_faults.to_time
    UNION ALL
    SELECT 'misplaced', m.timestamp, NULL, jsonb_build_object('id', m.id), m.id::numeric, m.expected, '{}'
    FROM misplaced AS m
    WHERE m.timestamp >= id_faults.from_time AND m.timestamp < id_faults.to_time
        AND NOT EXISTS (SELECT FROM duplicates AS d WHERE d.timestamp = m.timestamp AND d.id = m.id);
END
$$;

COMMENT ON FUNCTION entasis_internal.id_faults IS
'Trades of [from_time, to_time) that were told twice, and those whose ids belong to another time, read from [read_from, read_to). docs/quality.md has the definitions.';
