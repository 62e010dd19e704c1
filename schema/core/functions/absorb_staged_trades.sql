-- Inserting first and comparing afterwards finds every conflict, also with a trade that another
-- session committed in between. Quarantine takes what is left; nothing is dropped.
CREATE OR REPLACE FUNCTION entasis.absorb_staged_trades(
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
    SELECT count(*) INTO staged FROM pg_temp.entasis_staged_trades;

    WITH judged AS (
        SELECT s.ctid AS row_at, entasis_internal.trade_fault(
            s.symbol, s.exchange, s.timestamp, s.price, s.volume, f.floor
        ) AS fault
        FROM pg_temp.entasis_staged_trades AS s
        CROSS JOIN entasis.floors AS f
        WHERE f.relation = 'market_data'
    ),
    removed AS (
        DELETE FROM pg_temp.entasis_staged_trades AS s
        USING judged AS j
        WHERE s.ctid = j.row_at AND j.fault IS NOT NULL
        RETURNING s.*, j.fault
    )
    INSERT INTO entasis.quarantine (relation, source, line, code, reason, payload)
    SELECT 'market_data', named_source, r.line, r.fault[1], r.fault[2],
        to_jsonb(r) - 'line' - 'fault'
    FROM removed AS r
    ON CONFLICT DO NOTHING;

    FOR month IN
        SELECT DISTINCT date_trunc('month', s.timestamp) FROM pg_temp.entasis_staged_trades AS s
        ORDER BY 1
    LOOP
        -- the floor may lie within a month
        PERFORM entasis.ensure_partitions(
            'market_data', greatest(month, f.floor), month + interval '1 month'
        ) FROM entasis.floors AS f WHERE f.relation = 'market_data';
    END LOOP;

    INSERT INTO entasis.market_data (symbol, exchange, timestamp, id, price, volume)
    SELECT DISTINCT ON (s.symbol, s.exchange, s.timestamp, s.id)
        s.symbol, s.exchange, s.timestamp, s.id, s.price, s.volume
    FROM pg_temp.entasis_staged_trades AS s
    ORDER BY s.symbol, s.exchange, s.timestamp, s.id, s.line
    ON CONFLICT (symbol, exchange, timestamp, id) DO NOTHING;
    GET DIAGNOSTICS inserted = ROW_COUNT;

    WITH conflicts AS (
        SELECT s.*, d.price AS stored_price, d.volume AS stored_volume
        FROM pg_temp.entasis_staged_trades AS s
        INNER JOIN entasis.market_data AS d
            ON s.symbol = d.symbol AND s.exchange = d.exchange
            AND s.timestamp = d.timestamp AND s.id = d.id
        WHERE s.price <> d.price OR s.volume <> d.volume
    ),
    put AS (
        INSERT INTO entasis.quarantine (relation, source, line, code, reason, payload)
        SELECT 'market_data', named_source, c.line, 'conflict',
            format(
                'trade %s of %s %s at %s is stored with price %s and volume %s; this one has %s and %s',
                c.id, c.exchange, c.symbol, c.timestamp AT TIME ZONE 'UTC',
                c.stored_price, c.stored_volume, c.price, c.volume
            ),
            to_jsonb(c) - 'line' - 'stored_price' - 'stored_volume'
        FROM conflicts AS c
        ON CONFLICT DO NOTHING
    )
    SELECT count(*) INTO refused FROM conflicts;

    already_there := (SELECT count(*) FROM pg_temp.entasis_staged_trades) - inserted - refused;
    quarantined := staged - inserted - already_there;
    DELETE FROM pg_temp.entasis_staged_trades;
END
$$;

COMMENT ON FUNCTION entasis.absorb_staged_trades(text) IS
'Takes the trades of pg_temp.entasis_staged_trades into market_data, making the months that they need. A trade that is there already changes nothing; a trade that cannot be stored, or is stored with another price or volume, goes to quarantine with its reason. The three counts add up to what was staged; a row that stands in quarantine from an earlier load is counted and not written twice.';
