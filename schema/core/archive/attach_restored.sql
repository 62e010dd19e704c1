-- Attaching fires no trigger, so that candles and floor stay as they are.
CREATE OR REPLACE FUNCTION entasis_internal.attach_restored(table_name name, hold interval)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '2s'
AS $$
DECLARE
    verified entasis.restores;
BEGIN
    SELECT r.* INTO verified FROM entasis.restores AS r
    WHERE r.table_name = attach_restored.table_name
        AND r.verified_at IS NOT NULL
        AND r.attached_at IS NULL
    FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION '% is not a restored and verified table', table_name
        USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    -- only a range that was dropped: the candles of any other do not count these rows
    PERFORM FROM entasis.archives AS a
    WHERE a.relation = verified.relation AND a.from_time = verified.from_time
        AND a.to_time = verified.to_time AND a.superseded_at IS NULL
        AND a.dropped_at IS NOT NULL
        AND a.row_count = verified.row_count AND a.checksum = verified.checksum;
    IF NOT FOUND THEN
        RAISE EXCEPTION '% is not, whole, a range that was archived and dropped', table_name
        USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'SELECT * FROM entasis.archives lists them with their bounds.';
    END IF;
    EXECUTE format('REVOKE ALL ON entasis.%I FROM entasis_reader, entasis_admin', table_name);
    PERFORM entasis_internal.attach_partition(
        verified.relation, table_name, verified.from_time, verified.to_time
    );
    UPDATE entasis.restores AS r SET
        attached_at = clock_timestamp(), held_until = clock_timestamp() + hold
    WHERE r.table_name = attach_restored.table_name;
    -- caches may hold that the range is empty
    PERFORM entasis.flush_caches();
    INSERT INTO entasis.maintenance_log (action, relation, detail)
    VALUES ('restore', verified.relation, table_name);
END
$$;

COMMENT ON FUNCTION entasis_internal.attach_restored IS
'Attaches a restored table, which must hold the whole of an archived and dropped range, to its relation, below the floor. maintain() drops it again once the hold has ended.';
