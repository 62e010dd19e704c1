-- Partitions lie in entasis_internal, out of the way of those who list the tables of entasis.
-- CREATE TABLE ... PARTITION OF takes an ACCESS EXCLUSIVE lock on the parent; LIKE and ATTACH block neither
-- readers nor writers. Attaching creates the indexes and keys of the parent.
CREATE OR REPLACE FUNCTION entasis_internal.create_partition(
    relation_name text, at_time timestamptz
)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
SET timezone = 'UTC'
AS $$
DECLARE
    month_start timestamptz := date_trunc('month', at_time);
    month_end timestamptz := month_start + interval '1 month';
    partition_name text := relation_name || to_char(month_start, '"_y"YYYY"m"MM');
BEGIN
    IF EXISTS (
        SELECT FROM entasis_internal.partitions_of(relation_name) AS p
        WHERE p.from_time <= at_time AND p.to_time > at_time
    ) THEN
        RETURN false;
    END IF;

    -- Sessions that create partitions of this relation wait for each other, and check again. No advisory lock, which
    -- any login can hold.
    PERFORM FROM entasis.keep_periods AS k
    WHERE k.relation = create_partition.relation_name
    FOR NO KEY UPDATE;
    IF EXISTS (
        SELECT FROM entasis_internal.partitions_of(relation_name) AS p
        WHERE p.from_time < month_end AND p.to_time > month_start
    ) THEN
        RETURN false;
    END IF;

    IF to_regclass(format('entasis_internal.%I', partition_name)) IS NOT NULL THEN
        -- not visible above to an old snapshot; these functions read the catalog without one
        IF
            pg_partition_root(to_regclass(format('entasis_internal.%I', partition_name)))
            = to_regclass(format('entasis.%I', relation_name))
        THEN
            RAISE EXCEPTION '% was created by another session after this transaction began',
                partition_name
            USING ERRCODE = 'serialization_failure', HINT = 'Repeat the transaction.';
        END IF;
        RAISE EXCEPTION 'a table entasis_internal.% exists, and is not a partition of %',
            partition_name, relation_name
        USING ERRCODE = 'duplicate_table',
            HINT = 'Attach it, rename it or drop it: the partition of the month needs this name.';
    END IF;

    EXECUTE format(
        'CREATE TABLE entasis_internal.%I (LIKE entasis.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE INCLUDING COMMENTS)',
        partition_name, relation_name
    );
    EXECUTE format('ALTER TABLE entasis_internal.%I OWNER TO entasis_owner', partition_name);
    EXECUTE format(
        'ALTER TABLE entasis.%I ATTACH PARTITION entasis_internal.%I FOR VALUES FROM (%L) TO (%L)',
        relation_name, partition_name, month_start, month_end
    );
    EXECUTE format(
        'COMMENT ON TABLE entasis_internal.%I IS %L', partition_name,
        format('Partition of entasis.%s: [%s, %s) UTC.',
            relation_name, to_char(month_start, 'YYYY-MM-DD'), to_char(month_end, 'YYYY-MM-DD'))
    );
    INSERT INTO entasis_internal.known_partitions AS s (
        relation, partition_name, from_time, to_time
    )
    VALUES (relation_name, partition_name, month_start, month_end)
    ON CONFLICT (relation, from_time, to_time) DO UPDATE
        SET partition_name = excluded.partition_name;
    INSERT INTO entasis.maintenance_log (action, relation, detail)
    VALUES ('create', relation_name, partition_name);
    RETURN true;
END
$$;

COMMENT ON FUNCTION entasis_internal.create_partition IS
'Creates the partition of the calendar month (UTC) that contains at_time. False: the time, or a part of the month, is in a partition already.';
