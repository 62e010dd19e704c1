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
    WHERE s.found_by IS NOT NULL
    UNION ALL
    SELECT 'setting_unfit', s.name || ' waits for a restart', 1, NULL
    -- what was given on the command line goes before any file
    FROM pg_settings AS s WHERE s.pending_restart AND s.source <> 'command line'
    UNION ALL
    -- What a login has for itself shows in no session but its own. A loader may have synchronous_commit off.
    SELECT a.found_by, format('%s = %s, of %s', a.setting, c.value, pg_get_userbyid(r.setrole)), 1, NULL
    FROM pg_db_role_setting AS r
    CROSS JOIN LATERAL unnest(r.setconfig) AS t (text)
    CROSS JOIN LATERAL (
        SELECT split_part(t.text, '=', 1) AS name, substr(t.text, strpos(t.text, '=') + 1) AS value
    ) AS c
    INNER JOIN entasis_internal.setting_advice() AS a ON lower(a.setting) = lower(c.name)
    WHERE
        r.setrole <> 0
        AND r.setdatabase IN (0, (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database()))
        AND (
            a.found_by = 'setting_unsafe'
            OR a.setting = 'TimeZone' AND pg_has_role(r.setrole, 'entasis_writer', 'MEMBER')
        )
        AND NOT EXISTS (
            SELECT FROM unnest(a.any_of) AS f (text)
            WHERE
                lower(f.text) = lower(c.value)
                OR f.text = 'on' AND lower(c.value) IN ('true', 'yes', '1')
                OR f.text = 'off' AND lower(c.value) IN ('false', 'no', '0')
        );
END
$$;

COMMENT ON FUNCTION entasis_internal.health_settings IS
'For entasis.health: settings of the server, of this database or of logins that are unsafe or do not fit this workload, and those that wait for a restart.';
