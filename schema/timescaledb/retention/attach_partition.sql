CREATE OR REPLACE FUNCTION entasis_internal.attach_partition(
    relation_name text, partition_name name, from_time timestamptz, to_time timestamptz
) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    hypertable regclass;
    time_column name;
    required name;
BEGIN
    SELECT format('%I.%I', d.hypertable_schema, d.hypertable_name)::regclass, d.column_name
    INTO STRICT hypertable, time_column
    FROM timescaledb_information.dimensions AS d
    INNER JOIN entasis_internal.hypertable_of(relation_name) AS h
        ON d.hypertable_schema = h.schema_name AND d.hypertable_name = h.table_name;

    -- A refresh that a superuser forces below the floor makes chunks, and leaves nothing in them.
    IF NOT entasis_internal.has_rows(relation_name, from_time, to_time) THEN
        PERFORM public.drop_chunks(
            format('entasis.%I', relation_name)::regclass,
            older_than => to_time, newer_than => from_time
        );
    END IF;

    -- made like a continuous aggregate, whose view does not say what its table requires
    FOR required IN
        SELECT a.attname FROM pg_attribute AS a
        WHERE a.attrelid = hypertable AND a.attnum > 0 AND a.attnotnull AND NOT a.attisdropped
    LOOP
        EXECUTE format(
            'ALTER TABLE entasis.%I ALTER COLUMN %I SET NOT NULL', partition_name, required
        );
    END LOOP;
    CALL public.attach_chunk(
        hypertable,
        format('entasis.%I', partition_name)::regclass,
        jsonb_build_object(time_column, jsonb_build_array(from_time, to_time))
    );
    -- The chunk gets the row triggers of its hypertable. That of INSERT it needs alone: see
    -- market_data_inserted(), which passes over what was restored.
    IF relation_name = 'market_data' THEN
        EXECUTE format(
            'CREATE TRIGGER restored_is_read_only BEFORE INSERT ON entasis.%I
            FOR EACH ROW EXECUTE FUNCTION entasis_internal.refuse_row_below_floor(%L)',
            partition_name, relation_name
        );
    END IF;
END
$$;

COMMENT ON FUNCTION entasis_internal.attach_partition IS
'Makes a table of schema entasis, which has the columns and constraints of the relation and rows of [from_time, to_time) only, a chunk of it that nobody may write to.';
