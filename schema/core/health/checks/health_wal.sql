CREATE OR REPLACE FUNCTION entasis_internal.health_wal() RETURNS TABLE (
    check_name text, subject text, value numeric, since timestamptz
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
    written CONSTANT pg_lsn := CASE
        WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn()
    END;
BEGIN
    IF NOT pg_has_role('pg_monitor', 'USAGE') THEN
        RETURN QUERY
        SELECT u, NULL::text, NULL::numeric, NULL::timestamptz
        FROM unnest(ARRAY['wal_ready', 'wal_ready_age', 'replication_lag', 'standby_missing']) AS u;
    ELSE
        RETURN QUERY
        SELECT w.check_name, NULL::text, w.value, w.oldest
        FROM (
            SELECT count(*) AS segments, min(f.modification) AS oldest
            FROM pg_ls_archive_statusdir() AS f WHERE f.name LIKE '%.ready'
        ) AS r
        CROSS JOIN LATERAL (VALUES
            ('wal_ready', r.segments::numeric, r.oldest),
            ('wal_ready_age',
                coalesce(round(extract(EPOCH FROM clock_timestamp() - r.oldest), 1), 0), r.oldest)
        ) AS w (check_name, value, oldest)
        WHERE current_setting('archive_mode') <> 'off'
        UNION ALL
        SELECT
            'replication_lag', coalesce(nullif(s.application_name, ''), s.pid::text),
            round(extract(EPOCH FROM coalesce(s.replay_lag, '0')), 3), NULL
        FROM pg_stat_replication AS s WHERE s.state <> 'backup'
        UNION ALL
        SELECT 'standby_missing', current_setting('synchronous_standby_names'), 1, NULL
        WHERE
            current_setting('synchronous_standby_names') <> ''
            AND current_setting('synchronous_commit') NOT IN ('off', 'local')
            AND NOT EXISTS (
                SELECT FROM pg_stat_replication AS s WHERE s.sync_state IN ('sync', 'quorum')
            );
    END IF;

    RETURN QUERY
    SELECT w.check_name, s.slot_name::text, w.value, NULL::timestamptz
    FROM pg_replication_slots AS s
    CROSS JOIN LATERAL (VALUES
        ('slot_inactive', (NOT s.active)::int::numeric),
        ('slot_wal', coalesce(greatest(0, written - s.restart_lsn), 0)),
        ('slot_lost', (s.wal_status = 'lost')::int::numeric)
    ) AS w (check_name, value)
    WHERE NOT s.temporary
    UNION ALL
    SELECT
        'archive_command_failing', a.last_failed_wal,
        -- how many failed since is not counted, but by segments that wait
        1, a.last_failed_time
    FROM pg_stat_archiver AS a
    WHERE
        current_setting('archive_mode') <> 'off'
        AND a.last_failed_time > coalesce(a.last_archived_time, '-infinity')
    UNION ALL
    SELECT
        'replication_lag', NULL,
        round(extract(EPOCH FROM clock_timestamp() - pg_last_xact_replay_timestamp()), 3),
        pg_last_xact_replay_timestamp()
    -- a quiet primary sends nothing, so that the last commit is old though nothing is missing
    WHERE
        pg_is_in_recovery()
        AND pg_last_wal_receive_lsn() IS DISTINCT FROM pg_last_wal_replay_lsn()
    UNION ALL
    SELECT
        'recovery_conflicts', c.datname::text,
        (
            c.confl_tablespace + c.confl_lock + c.confl_snapshot + c.confl_bufferpin
            + c.confl_deadlock
        )::numeric,
        d.stats_reset
    FROM pg_stat_database_conflicts AS c
    INNER JOIN pg_stat_database AS d ON c.datid = d.datid
    WHERE pg_is_in_recovery() AND c.datname = current_database();
END
$$;

COMMENT ON FUNCTION entasis_internal.health_wal IS
'For entasis.health: slots, WAL that waits to be archived, and replicas. Unknown to who is no member of pg_monitor: files and replicas.';
