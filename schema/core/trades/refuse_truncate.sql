CREATE OR REPLACE FUNCTION entasis_internal.refuse_truncate() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'TRUNCATE of %.% would leave its candles and its floor behind',
        tg_table_schema, tg_table_name
    USING ERRCODE = 'object_not_in_prerequisite_state',
        HINT = 'DELETE what you mean, or let entasis.maintain() drop whole months.';
END
$$;

COMMENT ON FUNCTION entasis_internal.refuse_truncate IS
'Trigger: refuses TRUNCATE of a relation that others are derived from.';
