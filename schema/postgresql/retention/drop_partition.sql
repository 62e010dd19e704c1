-- A drop waits behind every reader of the partition, and everybody else waits behind the drop: it
-- gives up early (lock_not_available), and its caller tries again later.
CREATE OR REPLACE FUNCTION entasis_internal.drop_partition(relation_name text, partition_name name)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '2s'
AS $$
DECLARE
    expired record;
BEGIN
    SELECT * INTO expired
    FROM entasis_internal.droppable_partition(relation_name, drop_partition.partition_name);

    -- Late writers wait while their range is compared with its archive; readers go on. A writer that
    -- waits here while this waits for the parent may be told of a deadlock: repeating, it is told
    -- of the floor.
    IF EXISTS (
        SELECT FROM entasis.keep_periods AS k WHERE k.relation = relation_name AND k.archived
    ) THEN
        EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', expired.partition_table);
    END IF;
    PERFORM entasis_internal.check_archive_and_record_drop(
        expired.partition_oid, relation_name, expired.from_time, expired.to_time
    );
    -- a DBA may have put it into another schema
    EXECUTE format('DROP TABLE %s', expired.partition_table);
    PERFORM entasis_internal.raise_floor(relation_name, expired.to_time);
    INSERT INTO entasis.maintenance_log (action, relation, detail)
    VALUES (
        'drop', relation_name,
        format('%s [%s, %s)', drop_partition.partition_name, expired.from_time, expired.to_time)
    );
END
$$;

COMMENT ON FUNCTION entasis_internal.drop_partition IS
'Drops one partition that is past its keep period and not kept for another cause, and raises the floor in the same transaction. Raises integrity_constraint_violation when the relation is archived and its archive does not hold exactly these rows, EN002 when an older one is still there, lock_not_available when the partition is in use for longer than 2 s.';
