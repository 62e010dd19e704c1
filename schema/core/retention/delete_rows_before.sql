-- A partition is dropped; rows of a relation without partitions are deleted, some at a time, so that vacuum
-- and writers go on. The last known state of a position stays, however old, and so does the note that a
-- partition was detached, which the next maintenance needs.
CREATE OR REPLACE FUNCTION entasis_internal.delete_rows_before(
    relation_name text, row_limit integer
) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    lowest timestamptz;
    time_column text;
    kept text;
    deleted bigint;
BEGIN
    SELECT entasis.keep_from(k.keep) INTO lowest
    FROM entasis.keep_periods AS k
    WHERE k.relation = relation_name AND NOT k.archived
        AND NOT EXISTS (SELECT FROM entasis.floors AS f WHERE f.relation = k.relation);
    IF lowest IS NULL THEN
        RETURN 0;
    END IF;
    time_column := CASE relation_name
        WHEN 'quarantine' THEN 'quarantined_at'
        WHEN 'past_retention' THEN 'last_refused_at'
        WHEN 'maintenance_log' THEN 'logged_at'
        WHEN 'runs' THEN 'started_at'
        ELSE 'timestamp'
    END;
    kept := CASE relation_name
        WHEN 'maintenance_log' THEN 'r.action = ''detach'''
        WHEN 'runs' THEN 'r.outcome IS NULL'
        WHEN 'portfolio_status' THEN 'NOT EXISTS (
            SELECT FROM entasis.portfolio_status AS n
            WHERE n.user_id = r.user_id AND n.asset_type = r.asset_type
            AND n.timestamp > r.timestamp)'
        ELSE 'false'
    END;
    EXECUTE format(
        'DELETE FROM entasis.%I AS d WHERE d.ctid = ANY (ARRAY(
            SELECT r.ctid FROM entasis.%1$I AS r WHERE r.%I < $1 AND NOT (%s) LIMIT $2
        ))',
        relation_name, time_column, kept
    ) USING lowest, row_limit;
    GET DIAGNOSTICS deleted = ROW_COUNT;
    RETURN deleted;
END
$$;

COMMENT ON FUNCTION entasis_internal.delete_rows_before IS
'Deletes at most row_limit rows that are past the keep period of a relation without partitions, and returns how many. 0 if it is kept for ever, or marked as archived.';
