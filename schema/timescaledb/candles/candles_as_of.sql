CREATE OR REPLACE FUNCTION entasis_internal.candles_as_of() RETURNS timestamptz
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN coalesce(
        (SELECT l.started_at FROM entasis_internal.last_refresh AS l),
        (SELECT i.installed_at FROM entasis.installation AS i)
    );
END
$$;

COMMENT ON FUNCTION entasis_internal.candles_as_of IS
'Up to when what was written shows in candles: when the last refresh that ended had begun, or the installation; UTC.';
