CREATE OR REPLACE FUNCTION entasis.detect_quotes(
    from_time timestamptz DEFAULT NULL, to_time timestamptz DEFAULT 'infinity'
) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    begins timestamptz := detect_quotes.from_time;
    newest timestamptz;
    told jsonb;
    added bigint;
BEGIN
    IF begins IS NULL THEN
        SELECT coalesce(max(e.up_to) - interval '1 hour', '-infinity') INTO begins
        FROM entasis_internal.examined_up_to AS e WHERE e.relation = 'option_data';
        SELECT max(q.timestamp) INTO newest FROM entasis.option_data AS q WHERE q.timestamp >= begins;
    END IF;
    SELECT coalesce(jsonb_agg(to_jsonb(f)), '[]') INTO told
    FROM entasis_internal.quote_faults(begins, detect_quotes.to_time) AS f;
    WITH put AS (
        INSERT INTO entasis.anomalies AS a (
            kind, relation, symbol, begins_at, row_key, observed, expected, detail
        )
        SELECT f.kind, 'option_data', f.symbol, f.begins_at, f.row_key, f.observed, f.expected, f.detail
        FROM jsonb_populate_recordset(NULL::entasis.anomalies, told) AS f
        ON CONFLICT ON CONSTRAINT anomalies_once DO UPDATE SET state = 'new'
        WHERE a.state = 'gone'
        RETURNING a.id
    )
    SELECT count(*) INTO added FROM put;
    UPDATE entasis.anomalies AS a SET state = 'gone'
    WHERE a.relation = 'option_data' AND a.kind <> 'refused' AND a.state = 'new'
        AND a.begins_at >= begins AND a.begins_at < detect_quotes.to_time
        AND NOT EXISTS (
            SELECT FROM jsonb_populate_recordset(NULL::entasis.anomalies, told) AS f
            WHERE f.kind = a.kind AND f.symbol = a.symbol AND f.begins_at = a.begins_at AND f.row_key = a.row_key
        );
    IF newest IS NOT NULL THEN
        INSERT INTO entasis_internal.examined_up_to AS e (relation, up_to) VALUES ('option_data', newest)
        ON CONFLICT (relation) DO UPDATE SET up_to = greatest(e.up_to, excluded.up_to);
    END IF;
    RETURN added;
END
$$;

COMMENT ON FUNCTION entasis.detect_quotes IS
'Looks for anomalies in the quotes of options of [from_time, to_time). from_time NULL: in those from an hour before the newest one that was examined. Returns how many are new.';
