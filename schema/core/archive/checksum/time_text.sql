-- Raises an error for the infinities, which cannot be archived.
CREATE OR REPLACE FUNCTION entasis_internal.time_text(moment timestamptz) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN trim_scale(extract(EPOCH FROM moment) * 1000000)::bigint::text;

COMMENT ON FUNCTION entasis_internal.time_text IS
'Microseconds since 1970-01-01 UTC, as text. Raises an error for the infinities.';
