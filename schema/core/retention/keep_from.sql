CREATE OR REPLACE FUNCTION entasis.keep_from(keep_period interval) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
RETURN (now() AT TIME ZONE 'UTC' - keep_period) AT TIME ZONE 'UTC';

COMMENT ON FUNCTION entasis.keep_from IS
'The time up to which data is past a keep period, by the calendar of UTC. NULL: kept for ever.';
