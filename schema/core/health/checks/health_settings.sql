CREATE OR REPLACE FUNCTION entasis_internal.health_settings() RETURNS TABLE (
    check_name text, subject text, value numeric, since timestamptz
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT
        w.check_name,
        format('%s = %s', s.name, s.setting),
        1::numeric,
        NULL::timestamptz
    FROM (VALUES
        -- a crash of the machine loses or tears pages
        ('setting_unsafe', 'fsync', 'off'),
        ('setting_unsafe', 'full_page_writes', 'off'),
        -- damaged pages are read as if they were empty, or as they are
        ('setting_unsafe', 'zero_damaged_pages', 'on'),
        ('setting_unsafe', 'ignore_checksum_failure', 'on'),
        ('setting_unsafe', 'ignore_system_indexes', 'on'),
        -- dead rows stay, and transaction ids run out
        ('setting_unsafe', 'autovacuum', 'off'),
        ('setting_unsafe', 'track_counts', 'off'),
        -- commits of the last moment are lost in a crash
        ('setting_unfit', 'synchronous_commit', 'off'),
        -- nothing but plain text can be replicated or archived from it
        ('setting_unfit', 'wal_level', 'minimal')
    ) AS w (check_name, name, bad)
    INNER JOIN pg_settings AS s ON w.name = s.name
    -- this session's own change is nobody else's
    WHERE coalesce(CASE WHEN s.source = 'session' THEN s.reset_val ELSE s.setting END = w.bad, false)
    UNION ALL
    SELECT 'setting_unfit', format('%s = %s', s.name, s.reset_val), 1, NULL
    FROM pg_settings AS s
    WHERE
        -- more than PostgreSQL's own: an index is hardly ever used
        s.name = 'random_page_cost' AND s.reset_val::numeric > 4
        OR s.name = 'shared_buffers' AND s.setting::bigint < 16384
        -- what is typed without a zone is another moment than what is shown in the documents
        OR s.name = 'TimeZone' AND s.reset_val NOT IN (
            'UTC', 'Etc/UTC', 'UCT', 'Etc/UCT', 'GMT', 'Etc/GMT', 'Universal', 'Zulu', 'Etc/Universal', 'Etc/Zulu'
        );
END
$$;

COMMENT ON FUNCTION entasis_internal.health_settings IS
'For entasis.health: settings of the server that are unsafe, or do not fit this workload.';
