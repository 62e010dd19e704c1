-- IMMUTABLE, so that it is computed when a query is planned, whether there are candles or not.
CREATE OR REPLACE FUNCTION entasis_internal.checked_session(
    opens time, closes time, weekdays integer[], width interval
) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF opens IS NULL OR closes IS NULL OR date_trunc('minute', opens) <> opens::interval
        OR date_trunc('minute', closes) <> closes::interval
    THEN
        RAISE EXCEPTION 'a session cannot last from % to %', opens, closes
        USING ERRCODE = 'invalid_parameter_value', HINT = 'Give two times of day in whole minutes.';
    END IF;
    IF weekdays IS NULL OR NOT weekdays <@ ARRAY[1, 2, 3, 4, 5, 6, 7] THEN
        RAISE EXCEPTION 'sessions cannot begin on weekdays %', weekdays
        USING ERRCODE = 'invalid_parameter_value', HINT = 'Give numbers from 1, Monday, to 7, Sunday.';
    END IF;
    IF width IS NOT NULL AND entasis_internal.checked_width(width, '2000-01-03', false) IS NULL THEN
        RAISE EXCEPTION 'candles within sessions cannot be % wide', width
        USING ERRCODE = 'invalid_parameter_value', HINT = 'Give whole minutes or hours.';
    END IF;
    RETURN true;
END
$$;

COMMENT ON FUNCTION entasis_internal.checked_session IS
'True. Raises invalid_parameter_value for times of day that are no whole minutes, for weekdays that are none, and for candles of a width that is none of minutes.';
