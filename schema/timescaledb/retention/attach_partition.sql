CREATE OR REPLACE FUNCTION entasis_internal.attach_partition(
    relation_name text, partition_name name, from_time timestamptz, to_time timestamptz
) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO'
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

    -- A refresh that a superuser forces below the floor creates chunks and leaves them empty.
    IF NOT entasis_internal.has_rows(relation_name, from_time, to_time) THEN
        PERFORM public.drop_chunks(
            format('entasis.%I', relation_name)::regclass,
            older_than => to_time, newer_than => from_time
        );
    END IF;

    -- a table made LIKE a continuous aggregate, which is a view, lacks the NOT NULL of its hypertable
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
    -- A chunk gets the row triggers of its hypertable. For INSERT it needs one of its own, because
    -- market_data_inserted() does not check restored ranges. AFTER, because COPY past a BEFORE ROW trigger
    -- does not note which candles are out of date: what it writes into a reopened range would never show.
    IF relation_name = 'market_data' THEN
        EXECUTE format(
            'CREATE TRIGGER restored_is_read_only AFTER INSERT ON entasis.%I
            FOR EACH ROW EXECUTE FUNCTION entasis_internal.refuse_row_below_floor(%L)',
            partition_name, relation_name
        );
    END IF;
END
$$;

COMMENT ON FUNCTION entasis_internal.attach_partition IS
'Attaches a table of schema entasis, which must have the columns and constraints of the relation and only rows of [from_time, to_time), to it as a read-only chunk.';
