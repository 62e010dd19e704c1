CREATE OR REPLACE FUNCTION entasis_internal.health_values() RETURNS TABLE (
    check_name text, subject text, value numeric, since timestamptz
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY SELECT * FROM entasis_internal.health_feeds();
    RETURN QUERY SELECT * FROM entasis_internal.health_ids();
    RETURN QUERY SELECT * FROM entasis_internal.health_quarantine();
    RETURN QUERY SELECT * FROM entasis_internal.health_retention();
    RETURN QUERY SELECT * FROM entasis_internal.health_runs();
    RETURN QUERY SELECT * FROM entasis_internal.health_objects();
    RETURN QUERY SELECT * FROM entasis_internal.health_changes();
    RETURN QUERY SELECT * FROM entasis_internal.health_indexes();
    RETURN QUERY SELECT * FROM entasis_internal.health_wal();
    RETURN QUERY SELECT * FROM entasis_internal.health_sessions();
    RETURN QUERY SELECT * FROM entasis_internal.health_tables();
    RETURN QUERY SELECT * FROM entasis_internal.health_growth();
    RETURN QUERY SELECT * FROM entasis_internal.health_settings();
    RETURN QUERY SELECT * FROM entasis_internal.health_versions();
    RETURN QUERY SELECT * FROM entasis_internal.health_nodes();
END
$$;

COMMENT ON FUNCTION entasis_internal.health_values IS
'All that entasis.health judges: a row for each check and subject. value, NULL: unknown. since: since when it is so, NULL: nothing tells.';
