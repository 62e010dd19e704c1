CREATE OR REPLACE FUNCTION entasis_internal.round_numbers(
    numbers numeric[], decimals integer, column_name text
) RETURNS numeric[]
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    fault record;
    result numeric[];
BEGIN
    SELECT n.number, n.line INTO fault
    FROM unnest(numbers) WITH ORDINALITY AS n (number, line)
    WHERE n.number IS NULL OR n.number IN ('NaN', 'Infinity', '-Infinity')
    ORDER BY n.line
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'row %: % is %, which is no number',
            fault.line, column_name, coalesce(fault.number::text, 'NULL')
            USING ERRCODE = 'check_violation',
                COLUMN = column_name,
                HINT = 'Nothing of the call is stored. Leave out the rows that have no value.';
    END IF;
    SELECT array_agg(entasis_internal.round_half_even(n.number, decimals) ORDER BY n.line)
    INTO result
    FROM unnest(numbers) WITH ORDINALITY AS n (number, line);
    RETURN result;
END
$$;

COMMENT ON FUNCTION entasis_internal.round_numbers IS
'Numbers in their order, each with at most so many decimals, rounded half to even. Raises check_violation, with the row''s number from 1 and column_name, for NULL, NaN and infinities.';
