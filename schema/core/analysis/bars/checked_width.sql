-- IMMUTABLE, so that it is computed when a query is planned, whether there are candles or not.
CREATE OR REPLACE FUNCTION entasis_internal.checked_width(
    width interval, origin timestamp, is_calendar boolean
) RETURNS interval
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    months CONSTANT numeric := extract(YEAR FROM width) * 12 + extract(MONTH FROM width);
    days CONSTANT numeric := extract(DAY FROM width);
    clock CONSTANT interval := width - make_interval(months => months::integer, days => days::integer);
BEGIN
    IF width IS NULL THEN
        RAISE EXCEPTION 'the width of candles must be given'
        USING ERRCODE = 'null_value_not_allowed', HINT = 'For example ''7 minutes'', ''4 hours'' or ''1 week''.';
    END IF;
    IF width <= '0' OR width > '100 years'
        OR (months <> 0)::integer + (days <> 0)::integer + (clock <> '0')::integer <> 1
        OR date_trunc('minute', clock) <> clock
    THEN
        RAISE EXCEPTION 'candles cannot be % wide', width
        USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Give whole minutes or hours, or whole days, or whole months. For shorter ones, use trades or bars.';
    END IF;
    IF NOT isfinite(origin) OR date_trunc('minute', origin) <> origin
        OR (months <> 0 AND extract(DAY FROM origin) > 28)
    THEN
        RAISE EXCEPTION 'candles of % cannot be counted from %', width, origin
        USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Give a whole minute, and for months a day that all of them have.';
    END IF;
    RETURN CASE WHEN is_calendar = (clock = '0') THEN width END;
END
$$;

COMMENT ON FUNCTION entasis_internal.checked_width IS
'The width of candles if it is one of days or months (is_calendar) or of minutes (not is_calendar), NULL if it is the other. Raises null_value_not_allowed or invalid_parameter_value for what is no width, and for an origin from which it cannot be counted.';
