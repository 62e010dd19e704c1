CREATE OR REPLACE FUNCTION entasis_internal.health_wal() RETURNS TABLE (
    check_name text, subject text, value numeric, since timestamptz
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
    is_replica CONSTANT boolean := pg_is_in_recovery();
    written CONSTANT pg_lsn := CASE
        WHEN is_replica THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn()
    END;
    -- a replica archives nothing of its own, whatever it has from when it was copied or was the primary
    archives CONSTANT boolean := current_setting('archive_mode') = 'always'
        OR current_setting('archive_mode') = 'on' AND NOT is_replica;
BEGIN
    IF NOT pg_has_role('pg_monitor', 'USAGE') THEN
        RETURN QUERY
        SELECT u, NULL::text, NULL::numeric, NULL::timestamptz
        FROM unnest(ARRAY[
            'wal_ready', 'wal_ready_age', 'replication_lag', 'replication_behind', 'replica_cut_off',
            'standby_missing'
        ]) AS u;
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
        WHERE archives
        UNION ALL
        SELECT
            'replication_lag', coalesce(nullif(s.application_name, ''), s.pid::text),
            round(extract(EPOCH FROM coalesce(s.replay_lag, '0')), 3), NULL
        FROM pg_stat_replication AS s WHERE s.state <> 'backup'
        UNION ALL
        -- one that does not replay tells no lag
        SELECT
            'replication_behind', coalesce(nullif(s.application_name, ''), s.pid::text),
            greatest(0, written - coalesce(s.replay_lsn, s.sent_lsn, written)), NULL
        FROM pg_stat_replication AS s WHERE s.state <> 'backup'
        UNION ALL
        SELECT 'standby_missing', w.names, w.number - s.number, NULL
        FROM (
            SELECT
                n.setting AS names,
                coalesce(
                    substring(n.setting FROM '(?i)^\s*(?:first\s|any\s)?\s*(\d+)\s*\('), '1'
                )::numeric AS number
            FROM pg_settings AS n
            INNER JOIN pg_settings AS c ON c.name = 'synchronous_commit'
            WHERE
                n.name = 'synchronous_standby_names' AND n.setting <> ''
                AND c.reset_val NOT IN ('off', 'local')
        ) AS w
        CROSS JOIN LATERAL (
            SELECT count(*) AS number FROM pg_stat_replication AS r
            WHERE r.sync_state IN ('sync', 'quorum') AND r.state = 'streaming'
        ) AS s
        -- a replica waits for nobody
        WHERE NOT is_replica AND s.number < w.number
        UNION ALL
        -- one that is fed from an archive alone has no primary to be cut off from
        SELECT
            'replica_cut_off', NULL,
            (NOT EXISTS (SELECT FROM pg_stat_wal_receiver AS r WHERE r.status = 'streaming'))::int,
            pg_last_xact_replay_timestamp()
        WHERE is_replica AND current_setting('primary_conninfo') <> '';
    END IF;

    RETURN QUERY
    SELECT
        w.check_name, s.slot_name::text, w.value,
        -- from PostgreSQL 17 on
        (to_jsonb(s) ->> 'inactive_since')::timestamptz
    FROM pg_replication_slots AS s
    CROSS JOIN LATERAL (VALUES
        -- what is lost keeps nothing; what a replica copies from its primary is read by nobody there
        ('slot_inactive', (
            NOT s.active AND s.wal_status IS DISTINCT FROM 'lost'
            AND (to_jsonb(s) ->> 'synced')::boolean IS NOT true
        )::int::numeric),
        ('slot_wal', CASE WHEN s.wal_status = 'lost' THEN 0
            ELSE coalesce(greatest(0, written - s.restart_lsn), 0) END),
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
        archives
        AND a.last_failed_time > coalesce(a.last_archived_time, '-infinity')
    UNION ALL
    -- one that has replayed no commit since it was started lacks what came before, at least
    SELECT
        'replication_lag', NULL,
        CASE WHEN r.lacks_some THEN round(extract(EPOCH FROM clock_timestamp() - r.last_commit), 3) ELSE 0 END,
        r.last_commit
    FROM (
        SELECT
            coalesce(pg_last_xact_replay_timestamp(), pg_postmaster_start_time()) AS last_commit,
            -- A quiet primary sends nothing, so that the last commit is old though nothing is missing. What is
            -- replayed from files was not received.
            pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn()
            OR NOT EXISTS (SELECT FROM pg_stat_get_wal_receiver() AS w WHERE w.pid IS NOT NULL) AS lacks_some
    ) AS r
    WHERE is_replica
    UNION ALL
    SELECT
        'replication_behind', NULL, greatest(0, pg_last_wal_receive_lsn() - pg_last_wal_replay_lsn()),
        pg_last_xact_replay_timestamp()
    WHERE is_replica AND pg_last_wal_receive_lsn() IS NOT NULL
    UNION ALL
    SELECT
        'recovery_conflicts', c.datname::text,
        entasis_internal.a_day(c.conflicts, d.stats_reset),
        NULL
    FROM (
        SELECT
            p.datid,
            p.datname,
            (
                SELECT sum(k.value::numeric) FROM jsonb_each_text(to_jsonb(p)) AS k
                WHERE k.key LIKE 'confl%'
            ) AS conflicts
        FROM pg_stat_database_conflicts AS p
    ) AS c
    INNER JOIN pg_stat_database AS d ON c.datid = d.datid
    WHERE is_replica AND c.datname = current_database();
END
$$;

COMMENT ON FUNCTION entasis_internal.health_wal IS
'For entasis.health: slots, WAL that waits to be archived, and replicas. Unknown to who is no member of pg_monitor: files and replicas.';
