-- A row trigger for DELETE, because a hypertable with a columnstore takes no DELETE trigger with a transition
-- table, and for INSERT into a restored chunk. In the trigger of a chunk tg_table_name is that of the chunk,
-- so the relation is an argument.
CREATE OR REPLACE FUNCTION entasis_internal.refuse_row_below_floor() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    touched record := CASE tg_op WHEN 'DELETE' THEN old ELSE new END;
BEGIN
    IF tg_argv[0] = 'market_data' THEN
        PERFORM entasis_internal.refuse_below_floor(
            tg_argv[0], touched.timestamp, touched.symbol, touched.exchange
        );
    ELSE
        PERFORM entasis_internal.refuse_below_floor(
            tg_argv[0], touched.timestamp, touched.underlying
        );
    END IF;
    RETURN touched;
END
$$;

COMMENT ON FUNCTION entasis_internal.refuse_row_below_floor IS
'Trigger of trades and quotes: refuses to insert or delete a row below the floor of the relation named by its argument.';
