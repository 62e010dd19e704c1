CREATE OR REPLACE FUNCTION entasis_internal.droppable_partition(
    relation_name text,
    partition_name name,
    OUT partition_oid oid,
    OUT partition_table text,
    OUT from_time timestamptz,
    OUT to_time timestamptz
)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    kept_because text;
BEGIN
    SELECT e.partition_oid, e.from_time, e.to_time, e.kept_because
    INTO partition_oid, from_time, to_time, kept_because
    FROM entasis_internal.expired_partitions() AS e
    WHERE e.relation = relation_name AND e.partition_name = droppable_partition.partition_name;
    IF NOT FOUND THEN
        RAISE EXCEPTION '% is not a partition of % that is past its keep period',
            partition_name, relation_name
        USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'SELECT * FROM entasis_internal.expired_partitions() lists those that are.';
    END IF;
    IF kept_because IS NOT NULL THEN
        RAISE EXCEPTION '% is kept: %', partition_name, kept_because
        USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    -- The older one was in use, or another session is about to drop it; expired_partitions() explains why
    -- partitions are dropped in order.
    PERFORM FROM entasis_internal.partitions_of(relation_name) AS p
    INNER JOIN entasis.floors AS f ON f.relation = relation_name
    WHERE p.from_time < droppable_partition.from_time AND p.to_time > f.floor;
    IF FOUND THEN
        RAISE EXCEPTION '% cannot be dropped before older partitions of %', partition_name, relation_name
        USING ERRCODE = 'EN002';
    END IF;
    -- As text now: if another session drops it in between, the caller's statement then fails with
    -- undefined_table for this name, where the oid would be formatted as a number.
    SELECT format('%I.%I', n.nspname, c.relname) INTO partition_table
    FROM pg_class AS c INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
    WHERE c.oid = droppable_partition.partition_oid;
    IF NOT FOUND THEN
        RAISE EXCEPTION '% was dropped by another session', partition_name
        USING ERRCODE = 'undefined_table';
    END IF;
END
$$;

COMMENT ON FUNCTION entasis_internal.droppable_partition IS
'The partition of that name if it may be dropped now: its oid, its qualified table name and its bounds [from_time, to_time). Otherwise raises object_not_in_prerequisite_state if it is not expired or is kept, EN002 if an older one is still there, undefined_table if another session has just dropped it.';
