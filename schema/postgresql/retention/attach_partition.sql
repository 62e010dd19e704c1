CREATE OR REPLACE FUNCTION entasis_internal.attach_partition(
    relation_name text, partition_name name, from_time timestamptz, to_time timestamptz
) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO'
AS $$
BEGIN
    EXECUTE format('ALTER TABLE entasis.%I SET SCHEMA entasis_internal', partition_name);
    EXECUTE format(
        'ALTER TABLE entasis.%I ATTACH PARTITION entasis_internal.%I FOR VALUES FROM (%L) TO (%L)',
        relation_name, partition_name, from_time, to_time
    );
END
$$;

COMMENT ON FUNCTION entasis_internal.attach_partition IS
'Attaches a table of schema entasis, which must have the columns and constraints of the relation and only rows of [from_time, to_time), to it as a partition, and moves it to where partitions are.';
