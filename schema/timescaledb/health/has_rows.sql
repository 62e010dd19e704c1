CREATE OR REPLACE FUNCTION entasis_internal.has_rows(
    relation_name text, from_time timestamptz, to_time timestamptz
) RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found_one boolean;
BEGIN
    EXECUTE (
        SELECT format(
            'SELECT EXISTS (SELECT FROM %I.%I AS r WHERE r.%I >= $1 AND r.%3$I < $2)',
            d.hypertable_schema, d.hypertable_name, d.column_name
        )
        FROM timescaledb_information.dimensions AS d
        INNER JOIN entasis_internal.hypertable_of(relation_name) AS h
            ON d.hypertable_schema = h.schema_name AND d.hypertable_name = h.table_name
    ) INTO STRICT found_one USING from_time, to_time;
    RETURN found_one;
END
$$;

COMMENT ON FUNCTION entasis_internal.has_rows IS
'Whether the hypertable of a relation contains rows of [from_time, to_time).';
