-- docs/operations/settings.md has the same settings in the same order, with the same reasons.
CREATE OR REPLACE FUNCTION entasis_internal.setting_advice() RETURNS TABLE (
    place integer,
    setting text,
    advised text,
    lowest numeric,
    highest numeric,
    found_by text,
    found_below numeric,
    found_above numeric,
    any_of text[],
    reason text
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    sessions CONSTANT numeric := current_setting('max_connections')::numeric;
    -- tables, and with their indexes, that are no part of PostgreSQL
    tables CONSTANT numeric := (
        SELECT count(*) FROM pg_class AS c WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p')
    );
    relations CONSTANT numeric := tables + (
        SELECT count(*) FROM pg_class AS c WHERE c.oid >= 16384 AND c.relkind IN ('i', 'I')
    );
    locks CONSTANT numeric := greatest(64, ceil(2 * relations / sessions));
    fewest_locks CONSTANT numeric := ceil(tables / sessions);
    cached CONSTANT numeric := 2 * pg_size_bytes(current_setting('shared_buffers'));
    workers CONSTANT numeric := coalesce(
        current_setting('timescaledb.max_background_workers', true)::numeric
        + current_setting('max_parallel_workers')::numeric + 3,
        8
    );
BEGIN
    RETURN QUERY VALUES
    (1, 'fsync', 'on', NULL::numeric, NULL::numeric, 'setting_unsafe', NULL::numeric, NULL::numeric,
        ARRAY['on'],
        'Without it, a crash of the machine loses or tears pages.'),
    (2, 'full_page_writes', 'on', NULL, NULL, 'setting_unsafe', NULL, NULL,
        ARRAY['on'],
        'A page that a crash has torn is mended from its full copy in the WAL.'),
    (3, 'zero_damaged_pages', 'off', NULL, NULL, 'setting_unsafe', NULL, NULL,
        ARRAY['off'],
        'A damaged page would be read as an empty one, and its rows be gone without an error.'),
    (4, 'ignore_checksum_failure', 'off', NULL, NULL, 'setting_unsafe', NULL, NULL,
        ARRAY['off'],
        'A damaged page would be read as it is.'),
    (5, 'ignore_system_indexes', 'off', NULL, NULL, 'setting_unsafe', NULL, NULL,
        ARRAY['off'],
        'It is for repairs: every statement becomes slow.'),
    (6, 'data_checksums', 'on', NULL, NULL, NULL, NULL, NULL,
        ARRAY['on'],
        'A page that the disk has changed is noticed when it is read. pg_checksums --enable, with the server stopped.'),
    (7, 'wal_level', 'replica', NULL, NULL, 'setting_unfit', NULL, NULL,
        ARRAY['replica', 'logical'],
        'With minimal, nothing can be archived or replicated.'),
    (8, 'archive_mode', 'on', NULL, NULL, NULL, NULL, NULL,
        ARRAY['on', 'always'],
        'Without an archive of WAL, all since the last backup is lost with the server.'),
    (9, 'synchronous_commit', 'on', NULL, NULL, 'setting_unfit', NULL, NULL,
        ARRAY['on', 'local', 'remote_write', 'remote_apply'],
        'Off, a client is told that its commit is stored before it is: a crash of the server loses the commits of the last 0.6 s (three times wal_writer_delay), and nothing older. A loader that can load again may have it off, by ALTER ROLE.'),
    (10, 'max_slot_wal_keep_size', '32GB', 1, NULL, NULL, NULL, NULL,
        NULL,
        'A replica that is gone keeps WAL until the disk is full. With a limit below the room of that disk, the replica is lost and not the primary.'),
    (11, 'shared_buffers', '1GB', 1073741824, NULL, 'setting_unfit', 134217728, NULL,
        NULL,
        'A quarter of the memory: the newest partition, its indexes and its candles are written and read all day, and should stay.'),
    (12, 'effective_cache_size', '3GB', cached, NULL, NULL, NULL, NULL,
        NULL,
        'Three quarters of the memory, which the planner takes as cached: with too little, it reads whole tables instead of an index.'),
    (13, 'work_mem', '16MB', 8388608, 67108864, NULL, NULL, NULL,
        NULL,
        'Of each sort and hash of each session. Keys give most orders, so that little is sorted.'),
    (14, 'maintenance_work_mem', '256MB', 268435456, 2147483648, NULL, NULL, NULL,
        NULL,
        'For building an index, VACUUM, and sorting a chunk that is compressed; of each worker of autovacuum.'),
    (15, 'max_wal_size', '4GB', 4294967296, NULL, NULL, NULL, NULL,
        NULL,
        'Loads write much WAL. With checkpoints far apart, a page is written in full once instead of often. The disk of the WAL needs the room.'),
    (16, 'min_wal_size', '1GB', 1073741824, NULL, NULL, NULL, NULL,
        NULL,
        'Segments that are used again, instead of being made in the middle of a load.'),
    (17, 'checkpoint_timeout', '15min', 900, 3600, NULL, NULL, NULL,
        NULL,
        'As max_wal_size. After a crash, what was written since the last checkpoint is replayed first.'),
    (18, 'checkpoint_completion_target', '0.9', 0.9, NULL, NULL, NULL, NULL,
        NULL,
        'What a checkpoint writes is spread over the time to the next, so that the disk is not full of it at once.'),
    (19, 'wal_compression', 'lz4', NULL, NULL, NULL, NULL, NULL,
        ARRAY['lz4', 'zstd'],
        'Pages that are written in full become smaller, for little time.'),
    (20, 'random_page_cost', '1.1', NULL, 2, 'setting_unfit', NULL, 4,
        NULL,
        'Plans are proved under 1.1, for solid-state disks. With 4, PostgreSQL''s default, bitmap scans and sorts are chosen where an index has the order.'),
    (21, 'effective_io_concurrency', '32', 16, NULL, NULL, NULL, NULL,
        NULL,
        'Pages that a bitmap scan asks a solid-state disk for at once; 1 before PostgreSQL 18.'),
    (22, 'jit', 'off', NULL, NULL, NULL, NULL, NULL,
        ARRAY['off'],
        'A plan over many partitions looks costly and is quick: compiling it takes longer than running it.'),
    (23, 'default_toast_compression', 'lz4', NULL, NULL, NULL, NULL, NULL,
        ARRAY['lz4'],
        'Refused rows and what is noted of runs are documents, and lz4 is quicker than pglz. Trades have nothing that is compressed.'),
    (24, 'autovacuum', 'on', NULL, NULL, 'setting_unsafe', NULL, NULL,
        ARRAY['on'],
        'Without it dead rows stay, and transaction ids run out.'),
    (25, 'track_counts', 'on', NULL, NULL, 'setting_unsafe', NULL, NULL,
        ARRAY['on'],
        'Autovacuum goes by these counts.'),
    (26, 'autovacuum_vacuum_insert_scale_factor', '0.05', NULL, 0.05, NULL, NULL, NULL,
        NULL,
        'Partitions are hardly ever changed, only inserted into. At 0.2, a month of 100 million trades waits for 20 million more before its pages are frozen, and known to index-only scans as visible.'),
    (27, 'autovacuum_vacuum_scale_factor', '0.05', NULL, 0.1, NULL, NULL, NULL,
        NULL,
        'Candles of the running hour are updated: the dead rows of a large partition should not wait for a fifth of it.'),
    (28, 'autovacuum_analyze_scale_factor', '0.02', NULL, 0.05, NULL, NULL, NULL,
        NULL,
        'The newest rows are what is asked for, and the planner takes those that it does not know of for none.'),
    (29, 'autovacuum_max_workers', '3', 3, NULL, NULL, NULL, NULL,
        NULL,
        'A worker has one table at a time, and a large one for long.'),
    (30, 'max_connections', '100', NULL, 200, NULL, NULL, NULL,
        NULL,
        'Sessions share the cores. A pooler in front serves a thousand clients with 60.'),
    (31, 'max_locks_per_transaction', '128', locks, NULL, 'setting_unfit', fewest_locks, NULL,
        NULL,
        'A dump locks every partition, and a query without a range all those of its table with their indexes. Times max_connections, it should be twice the number of tables and indexes; the server refuses a dump that finds no room.'),
    (32, 'idle_in_transaction_session_timeout', '5min', 0.001, 600, NULL, NULL, NULL,
        NULL,
        'A session that has forgotten its transaction holds locks, and keeps dead rows from being removed.'),
    (33, 'statement_timeout', '0', NULL, NULL, NULL, NULL, NULL,
        ARRAY['0'],
        'For all, it would end maintenance, archives and dumps. Set it for the logins of services: ALTER ROLE api SET statement_timeout = ''30s''.'),
    (34, 'lock_timeout', '0', NULL, NULL, NULL, NULL, NULL,
        ARRAY['0'],
        'As statement_timeout. Maintenance and migrations set their own.'),
    (35, 'TimeZone', 'UTC', NULL, NULL, 'setting_unfit', NULL, NULL,
        ARRAY['UTC', 'Etc/UTC', 'UCT', 'Etc/UCT', 'GMT', 'Etc/GMT', 'Universal', 'Zulu', 'Etc/Universal', 'Etc/Zulu'],
        'A time that is typed without a zone is another moment than what these pages show.'),
    (36, 'timescaledb.max_background_workers', '8', 8, NULL, NULL, NULL, NULL,
        NULL,
        'A scheduler for each database of the server, and the jobs that run at once.'),
    (37, 'max_worker_processes', '16', workers, NULL, NULL, NULL, NULL,
        NULL,
        'Those of TimescaleDB, max_parallel_workers, and three for launchers. A job that finds none does not start.'),
    (38, 'track_io_timing', 'on', NULL, NULL, NULL, NULL, NULL,
        ARRAY['on'],
        'How long a query waits for the disk, in EXPLAIN (ANALYZE, BUFFERS) and in pg_stat_io.'),
    (39, 'log_lock_waits', 'on', NULL, NULL, NULL, NULL, NULL,
        ARRAY['on'],
        'The server''s log says who waited for whom, when it is over and nobody can look any more.');
END
$$;

COMMENT ON FUNCTION entasis_internal.setting_advice IS
'What entasis.settings compares the server''s settings with, in the order of its rows: advised, a value that fits; lowest and highest, in bytes, seconds or the setting''s own number, and any_of, which fit (NULL: any); found_by, the check of entasis.health that finds what does not fit, or only what is below found_below or above found_above where these are not NULL. NULL: none finds it.';
