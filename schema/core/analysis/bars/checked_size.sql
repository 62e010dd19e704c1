-- IMMUTABLE, so that it is computed when a query is planned, whether there are trades or not.
CREATE OR REPLACE FUNCTION entasis_internal.checked_size(size numeric) RETURNS numeric
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF size > 0 AND size < 'infinity' THEN
        RETURN size;
    END IF;
    RAISE EXCEPTION 'a size of % is none', size
    USING ERRCODE = 'invalid_parameter_value', HINT = 'Give a number above 0.';
END
$$;

COMMENT ON FUNCTION entasis_internal.checked_size IS
'A size of bars or a step of prices. Raises invalid_parameter_value for NULL, 0 and below, NaN and infinity.';
