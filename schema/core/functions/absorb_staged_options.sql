-- absorb_staged_trades() says why it inserts first and compares afterwards.
CREATE OR REPLACE FUNCTION entasis.absorb_staged_options(
    named_source text,
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
    month timestamptz;
BEGIN
    SELECT count(*) INTO staged FROM pg_temp.entasis_staged_options;

    WITH judged AS (
        SELECT s.ctid AS row_at, entasis_internal.option_fault(
            s.underlying, s.strike_price, s.expiry_date, s.option_type, s.timestamp,
            s.iv, s.delta, s.gamma, s.theta, s.vega, f.floor
        ) AS fault
        FROM pg_temp.entasis_staged_options AS s
        CROSS JOIN entasis.floors AS f
        WHERE f.relation = 'option_data'
    ),
    removed AS (
        DELETE FROM pg_temp.entasis_staged_options AS s
        USING judged AS j
        WHERE s.ctid = j.row_at AND j.fault IS NOT NULL
        RETURNING s.*, j.fault
    )
    INSERT INTO entasis.quarantine (relation, source, line, code, reason, payload)
    SELECT 'option_data', named_source, r.line, r.fault[1], r.fault[2],
        to_jsonb(r) - 'line' - 'fault'
    FROM removed AS r
    ON CONFLICT DO NOTHING;

    FOR month IN
        SELECT DISTINCT date_trunc('month', s.timestamp) FROM pg_temp.entasis_staged_options AS s
        ORDER BY 1
    LOOP
        -- the floor may lie within a month
        PERFORM entasis.ensure_partitions(
            'option_data', greatest(month, f.floor), month + interval '1 month'
        ) FROM entasis.floors AS f WHERE f.relation = 'option_data';
    END LOOP;

    INSERT INTO entasis.option_data (
        underlying, strike_price, expiry_date, option_type, timestamp, id,
        iv, delta, gamma, theta, vega
    )
    SELECT DISTINCT ON (
        s.underlying, s.expiry_date, s.strike_price, s.option_type, s.timestamp, s.id
    )
        s.underlying, s.strike_price, s.expiry_date, s.option_type, s.timestamp, s.id,
        s.iv, s.delta, s.gamma, s.theta, s.vega
    FROM pg_temp.entasis_staged_options AS s
    ORDER BY
        s.underlying, s.expiry_date, s.strike_price, s.option_type, s.timestamp, s.id, s.line
    ON CONFLICT (underlying, expiry_date, strike_price, option_type, timestamp, id) DO NOTHING;
    GET DIAGNOSTICS inserted = ROW_COUNT;

    WITH conflicts AS (
        SELECT s.*, to_jsonb(row(d.iv, d.delta, d.gamma, d.theta, d.vega)) AS stored
        FROM pg_temp.entasis_staged_options AS s
        INNER JOIN entasis.option_data AS d
            ON s.underlying = d.underlying AND s.expiry_date = d.expiry_date
            AND s.strike_price = d.strike_price AND s.option_type = d.option_type
            AND s.timestamp = d.timestamp AND s.id = d.id
        WHERE (s.iv, s.delta, s.gamma, s.theta, s.vega)
            IS DISTINCT FROM (d.iv, d.delta, d.gamma, d.theta, d.vega)
    ),
    put AS (
        INSERT INTO entasis.quarantine (relation, source, line, code, reason, payload)
        SELECT 'option_data', named_source, c.line, 'conflict',
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

COMMENT ON FUNCTION entasis.absorb_staged_options(text) IS
'Takes the quotes of pg_temp.entasis_staged_options into option_data, as absorb_staged_trades() does for trades: a quote that is there already changes nothing, one that cannot be stored or is stored with other values goes to quarantine.';
