CREATE OR REPLACE FUNCTION entasis_internal.health_settings() RETURNS TABLE (
    check_name text, subject text, value numeric, since timestamptz
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT s.found_by, format('%s = %s', s.setting, s.value), 1::numeric, NULL::timestamptz
    FROM entasis.settings AS s
    WHERE s.found_by IS NOT NULL;
END
$$;

COMMENT ON FUNCTION entasis_internal.health_settings IS
'For entasis.health: settings of the server that are unsafe, or do not fit this workload.';
