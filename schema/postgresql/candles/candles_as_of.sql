CREATE OR REPLACE FUNCTION entasis_internal.candles_as_of() RETURNS timestamptz
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
RETURN clock_timestamp();

COMMENT ON FUNCTION entasis_internal.candles_as_of IS
'Up to when what was written shows in candles: now, because writers bring them up to date; UTC.';
