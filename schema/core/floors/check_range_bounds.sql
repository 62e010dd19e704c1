CREATE OR REPLACE FUNCTION entasis_internal.check_range_bounds(
    from_time timestamptz, to_time timestamptz
) RETURNS void
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF from_time IS NULL OR to_time IS NULL THEN
        RAISE EXCEPTION 'both from_time and to_time must be given'
        USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Use ''-infinity'' and ''infinity'' for everything.';
    END IF;
    IF NOT from_time < to_time THEN
        RAISE EXCEPTION 'from_time (%) must lie before to_time (%)', from_time, to_time
        USING ERRCODE = 'invalid_parameter_value', HINT = 'to_time is not included.';
    END IF;
END
$$;

COMMENT ON FUNCTION entasis_internal.check_range_bounds IS
'Raises null_value_not_allowed if a bound of a range [from_time, to_time) is NULL, invalid_parameter_value if the range is empty or reversed.';
