-- TimescaleDB gives a chunk that was a table no triggers. What is attached lies below the floor of its
-- own relation, and gets the one that keeps everybody, and every refresh, from writing there.
CREATE OR REPLACE FUNCTION entasis_internal.attach_partition(
    relation_name text, attached name, from_time timestamptz, to_time timestamptz
) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    hypertable regclass;
    time_column name;
    required name;
BEGIN
    SELECT format('%I.%I', h.schema_name, h.table_name)::regclass INTO STRICT hypertable
    FROM entasis_internal.hypertable_of(relation_name) AS h;
    SELECT d.column_name INTO STRICT time_column
    FROM timescaledb_information.dimensions AS d
    INNER JOIN entasis_internal.hypertable_of(relation_name) AS h
        ON d.hypertable_schema = h.schema_name AND d.hypertable_name = h.table_name;

    -- made like a continuous aggregate, whose view does not say what its table requires
    FOR required IN
        SELECT a.attname FROM pg_attribute AS a
        WHERE a.attrelid = hypertable AND a.attnum > 0 AND a.attnotnull AND NOT a.attisdropped
    LOOP
        EXECUTE format('ALTER TABLE entasis.%I ALTER COLUMN %I SET NOT NULL', attached, required);
    END LOOP;
    CALL public.attach_chunk(
        hypertable,
        format('entasis.%I', attached)::regclass,
        jsonb_build_object(time_column, jsonb_build_array(from_time, to_time))
    );
    EXECUTE format(
        'CREATE TRIGGER restored_is_read_only BEFORE INSERT OR UPDATE OR DELETE ON entasis.%I
        FOR EACH ROW EXECUTE FUNCTION entasis_internal.%I(%L)',
        attached,
        CASE
            WHEN relation_name LIKE 'ohlcv%' THEN 'keep_candle_below_floor'
            ELSE 'refuse_row_below_floor'
        END,
        relation_name
    );
END
$$;

COMMENT ON FUNCTION entasis_internal.attach_partition(text, name, timestamptz, timestamptz) IS
'Makes a table of schema entasis, which has the columns and constraints of the relation and rows of [from_time, to_time) only, a chunk of it that nobody may write to.';
