-- IMMUTABLE and without settings, so that it is inlined instead of called for each row. date_bin() floors,
-- as exchanges do when they cut a time.
CREATE OR REPLACE FUNCTION entasis_internal.is_same_moment(
    stored timestamptz, told timestamptz, unit text, units text[]
) RETURNS boolean
LANGUAGE sql IMMUTABLE
RETURN CASE
    WHEN stored = told
        THEN true
    WHEN unit = 's' AND told = date_bin('1 second', stored, '2000-01-01 00:00:00+00'::timestamptz)
        THEN true
    WHEN
        unit = 'ms'
        AND told = date_bin('1 millisecond', stored, '2000-01-01 00:00:00+00'::timestamptz)
        THEN true
    WHEN
        units && ARRAY['s'] AND unit IS DISTINCT FROM 's'
        AND stored = date_bin('1 second', told, '2000-01-01 00:00:00+00'::timestamptz)
        THEN true
    WHEN
        units && ARRAY['ms'] AND coalesce(unit, 'us') = 'us'
        AND stored = date_bin('1 millisecond', told, '2000-01-01 00:00:00+00'::timestamptz)
        THEN true
    ELSE false
END;

COMMENT ON FUNCTION entasis_internal.is_same_moment IS
'Whether a stored time and one that is told in a unit (s, ms, us; NULL: not declared, taken for us) are one moment: the finer one cut to the coarser unit is the other. units are those that the market has seen: the stored time was told in one of them.';
