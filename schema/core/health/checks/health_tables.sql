CREATE OR REPLACE FUNCTION entasis_internal.health_tables() RETURNS TABLE (
    check_name text, subject text, value numeric, since timestamptz
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
    -- half of all ids; the server stops before it
    possible CONSTANT numeric := 2 ^ 31;
BEGIN
    RETURN QUERY
    SELECT
        'dead_rows', s.relid::regclass::text,
        round(100.0 * s.n_dead_tup / (s.n_live_tup + s.n_dead_tup), 1),
        greatest(s.last_vacuum, s.last_autovacuum)
    FROM pg_stat_user_tables AS s
    WHERE
        s.n_live_tup + s.n_dead_tup >= 10000
        -- nobody but its session can vacuum a temporary table, which ends with it
        AND s.schemaname NOT LIKE 'pg\_temp\_%'
    UNION ALL
    SELECT 'autovacuum_off', c.oid::regclass::text, 1, NULL
    FROM pg_class AS c
    INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
    CROSS JOIN LATERAL pg_options_to_table(c.reloptions) AS o
    WHERE
        c.relkind IN ('r', 'm') AND n.nspname NOT LIKE 'pg\_%'
        AND o.option_name = 'autovacuum_enabled'
        AND NOT coalesce(nullif(o.option_value, '')::boolean, true)
    UNION ALL
    SELECT 'wraparound', format('%s of database %s', a.what, d.datname),
        round(100.0 * a.age / possible, 2), NULL
    FROM pg_database AS d
    CROSS JOIN LATERAL (VALUES
        ('transaction ids', age(d.datfrozenxid)), ('multixacts', mxid_age(d.datminmxid))
    ) AS a (what, age)
    UNION ALL
    SELECT 'checksum_failures', coalesce(d.datname::text, 'shared'),
        d.checksum_failures::numeric, d.checksum_last_failure
    FROM pg_stat_database AS d
    WHERE d.checksum_failures IS NOT NULL
    UNION ALL
    SELECT
        'cache_hits', NULL,
        round(100.0 * d.blks_hit / (d.blks_hit + d.blks_read), 1),
        d.stats_reset
    FROM pg_stat_database AS d
    WHERE d.datname = current_database() AND d.blks_hit + d.blks_read >= 1000000
    UNION ALL
    SELECT 'deadlocks', d.datname::text, entasis_internal.a_day(d.deadlocks, d.stats_reset), NULL
    FROM pg_stat_database AS d WHERE d.datname = current_database()
    UNION ALL
    SELECT 'ids_used', s.subject, s.value, NULL FROM entasis_internal.sequences_used() AS s;
END
$$;

COMMENT ON FUNCTION entasis_internal.health_tables IS
'For entasis.health: dead rows, deadlocks, damaged pages, and how far transaction ids and the ids of rows have come.';
