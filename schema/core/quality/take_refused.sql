-- A row may be committed after one that was refused later, so a day is looked at again.
CREATE OR REPLACE FUNCTION entasis.take_refused() RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    begins timestamptz;
    newest timestamptz;
    added bigint;
BEGIN
    SELECT coalesce(max(e.up_to) - interval '1 day', '-infinity') INTO begins
    FROM entasis_internal.examined_up_to AS e WHERE e.relation = 'quarantine';
    WITH refused AS (
        SELECT q.* FROM entasis.quarantine AS q WHERE q.quarantined_at >= begins
    ),
    put AS (
        INSERT INTO entasis.anomalies AS a (kind, relation, symbol, exchange, begins_at, row_key, detail)
        SELECT 'refused', r.relation, coalesce(r.payload ->> 'symbol', r.payload ->> 'underlying'),
            r.payload ->> 'exchange', r.quarantined_at, jsonb_build_object('quarantine', r.id),
            jsonb_build_object('code', r.code, 'reason', r.reason, 'source', r.source, 'line', r.line)
        FROM refused AS r
        ON CONFLICT ON CONSTRAINT anomalies_once DO NOTHING
        RETURNING a.id
    )
    SELECT count(*), (SELECT max(r.quarantined_at) FROM refused AS r) INTO added, newest FROM put;
    UPDATE entasis.anomalies AS a SET state = 'gone'
    WHERE a.kind = 'refused' AND a.state = 'new'
        AND NOT EXISTS (
            SELECT FROM entasis.quarantine AS q WHERE q.id = (a.row_key ->> 'quarantine')::bigint
        );
    IF newest IS NOT NULL THEN
        INSERT INTO entasis_internal.examined_up_to AS e (relation, up_to) VALUES ('quarantine', newest)
        ON CONFLICT (relation) DO UPDATE SET up_to = greatest(e.up_to, excluded.up_to);
    END IF;
    RETURN added;
END
$$;

COMMENT ON FUNCTION entasis.take_refused IS
'Stores in entasis.anomalies the rows that came into quarantine since it was last called, and marks as gone those that were deleted there before anybody decided. Returns how many are new.';
