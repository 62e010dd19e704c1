CREATE OR REPLACE FUNCTION entasis_internal.refuse_truncate() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'TRUNCATE of %.% would leave its candles and its floor behind',
        tg_table_schema, tg_table_name
    USING ERRCODE = 'object_not_in_prerequisite_state',
        HINT = 'Use DELETE, or let entasis.maintain() drop whole partitions.';
END
$$;

COMMENT ON FUNCTION entasis_internal.refuse_truncate IS
'Trigger of trades and quotes: refuses TRUNCATE, which would leave candles and floor as they are.';
