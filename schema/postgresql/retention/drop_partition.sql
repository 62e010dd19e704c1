-- A drop waits for every reader of the partition, and all others queue behind it: so it gives up after a
-- short lock_timeout (lock_not_available), and its caller tries again later.
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

    -- Late writers wait while the range is compared with its archive; readers do not. A writer that waits
    -- for this lock while this session waits for the parent may get a deadlock error; repeated, its
    -- statement is refused for the floor.
    IF EXISTS (
        SELECT FROM entasis.keep_periods AS k WHERE k.relation = relation_name AND k.archived
    ) THEN
        EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', expired.partition_table);
    END IF;
    PERFORM entasis_internal.check_archive_and_record_drop(
        expired.partition_oid, relation_name, expired.from_time, expired.to_time
    );
    -- a DBA may have moved it to another schema
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
'Drops a partition that is past its keep period and not kept for another reason, and raises the floor in the same transaction. Raises integrity_constraint_violation if the relation is archived and no archive holds exactly these rows, EN002 if an older partition is still there, lock_not_available if the partition is in use for longer than 2 s.';
