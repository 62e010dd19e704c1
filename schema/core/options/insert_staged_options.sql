-- insert_staged_trades() explains why it inserts first and compares afterwards.
CREATE OR REPLACE FUNCTION entasis.insert_staged_options(
    source_name text,
    OUT inserted bigint,
    OUT already_there bigint,
    OUT quarantined bigint
)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    staged bigint;
    refused bigint;
    -- allowance for differing clocks
    latest timestamptz := clock_timestamp() + interval '5 minutes';
    lowest timestamptz;
    month timestamptz;
    doubtful bigint[];
BEGIN
    SELECT count(*) INTO staged FROM pg_temp.entasis_staged_options;

    SELECT f.floor INTO lowest FROM entasis.floors AS f WHERE f.relation = 'option_data';

    WITH faulty AS (
        DELETE FROM pg_temp.entasis_staged_options AS s
        WHERE entasis_internal.option_fault(
            s.underlying, s.strike_price, s.expiry_date, s.option_type, s.timestamp,
            s.iv, s.delta, s.gamma, s.theta, s.vega,
            CASE
                WHEN s.timestamp < lowest AND entasis_internal.is_reopened(
                    'option_data', s.underlying, NULL, s.timestamp
                ) THEN '-infinity'
                ELSE lowest
            END,
            latest
        ) IS NOT NULL
        RETURNING s.*
    )
    INSERT INTO entasis.quarantine (relation, source, line, code, reason, payload)
    SELECT 'option_data', source_name, s.line, j.fault[1], j.fault[2], to_jsonb(s) - 'line'
    FROM faulty AS s
    CROSS JOIN LATERAL (
        SELECT entasis_internal.option_fault(
            s.underlying, s.strike_price, s.expiry_date, s.option_type, s.timestamp,
            s.iv, s.delta, s.gamma, s.theta, s.vega,
            CASE
                WHEN s.timestamp < lowest AND entasis_internal.is_reopened(
                    'option_data', s.underlying, NULL, s.timestamp
                ) THEN '-infinity'
                ELSE lowest
            END,
            latest
        ) AS fault
    ) AS j
    ON CONFLICT DO NOTHING;

    FOR month IN
        SELECT DISTINCT date_trunc('month', s.timestamp) FROM pg_temp.entasis_staged_options AS s
        WHERE s.timestamp >= lowest
        ORDER BY 1
    LOOP
        -- the floor may lie inside a month
        PERFORM entasis.ensure_partitions(
            'option_data', greatest(month, lowest), month + interval '1 month'
        );
    END LOOP;

    -- Inserts the first row of each key. Rows that were not inserted are compared with the stored ones by the
    -- next statement, whose snapshot includes what other sessions committed in the meantime.
    WITH ranked AS (
        SELECT s.*, row_number() OVER (
            PARTITION BY s.underlying, s.expiry_date, s.strike_price, s.option_type, s.timestamp, s.id ORDER BY s.line
        ) AS rank
        FROM pg_temp.entasis_staged_options AS s
    ),
    put AS (
        INSERT INTO entasis.option_data (
            underlying, strike_price, expiry_date, option_type, timestamp, id,
            iv, delta, gamma, theta, vega
        )
        SELECT r.underlying, r.strike_price, r.expiry_date, r.option_type, r.timestamp, r.id,
            r.iv, r.delta, r.gamma, r.theta, r.vega
        FROM ranked AS r WHERE r.rank = 1
        ORDER BY r.underlying, r.expiry_date, r.strike_price, r.option_type, r.timestamp, r.id
        ON CONFLICT (underlying, expiry_date, strike_price, option_type, timestamp, id) DO NOTHING
        RETURNING underlying, expiry_date, strike_price, option_type, timestamp, id
    )
    SELECT (SELECT count(*) FROM put), array_agg(r.line) FILTER (WHERE p.id IS NULL OR r.rank > 1)
    INTO inserted, doubtful
    FROM ranked AS r
    LEFT JOIN put AS p USING (underlying, expiry_date, strike_price, option_type, timestamp, id);

    WITH conflicts AS (
        SELECT s.*, to_jsonb(row(d.iv, d.delta, d.gamma, d.theta, d.vega)) AS stored
        FROM pg_temp.entasis_staged_options AS s
        INNER JOIN entasis.option_data AS d
            ON s.underlying = d.underlying AND s.expiry_date = d.expiry_date
            AND s.strike_price = d.strike_price AND s.option_type = d.option_type
            AND s.timestamp = d.timestamp AND s.id = d.id
        WHERE s.line = ANY (doubtful) AND (s.iv, s.delta, s.gamma, s.theta, s.vega)
            IS DISTINCT FROM (d.iv, d.delta, d.gamma, d.theta, d.vega)
    ),
    put AS (
        INSERT INTO entasis.quarantine (relation, source, line, code, reason, payload)
        SELECT 'option_data', source_name, c.line, 'conflict',
            format(
                'quote %s of %s %s %s expiring %s at %s is stored with other values: %s',
                c.id, c.underlying, c.strike_price, c.option_type,
                c.expiry_date AT TIME ZONE 'UTC', c.timestamp AT TIME ZONE 'UTC', c.stored
            ),
            to_jsonb(c) - 'line' - 'stored'
        FROM conflicts AS c
        ON CONFLICT DO NOTHING
    )
    SELECT count(*) INTO refused FROM conflicts;

    already_there := (SELECT count(*) FROM pg_temp.entasis_staged_options) - inserted - refused;
    quarantined := staged - inserted - already_there;
    DELETE FROM pg_temp.entasis_staged_options;
END
$$;

COMMENT ON FUNCTION entasis.insert_staged_options IS
'Inserts the quotes of pg_temp.entasis_staged_options into option_data, as insert_staged_trades() does with trades: a quote that is stored already changes nothing; one that cannot be stored, or is stored with other values, goes to quarantine.';
