"""All that a login could try to change, of what there is: for one that may change nothing."""

from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg import sql

from tests.db import Connection

REFUSED = (
    psycopg.errors.InsufficientPrivilege,
    # a view that is no table, before anybody asks who may
    psycopg.errors.WrongObjectType,
    psycopg.errors.ObjectNotInPrerequisiteState,
    psycopg.errors.FeatureNotSupported,
)
OF_PG_MONITOR = {
    *("wal_ready", "wal_ready_age", "standby_missing"),
    *("replication_lag", "replication_behind", "replica_cut_off"),
    *("idle_in_transaction", "transaction_age", "blocked"),
}
"""Checks that are unknown to who is no member of pg_monitor."""
HELD = """
    WITH ours AS (
        SELECT c.oid, c.relkind, c.relowner, a.attname
        FROM pg_class AS c LEFT JOIN pg_attribute AS a ON c.oid = a.attrelid AND a.attnum > 0
            AND NOT a.attisdropped
        WHERE c.relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname LIKE 'entasis%')
            OR c.relowner = 'entasis_owner'::regrole
    )
    SELECT r.kind || ' on ' || o.oid::regclass FROM ours AS o
    CROSS JOIN unnest(ARRAY['SELECT WITH GRANT OPTION', 'INSERT', 'UPDATE',
        'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']
        || CASE WHEN current_setting('server_version_num')::int >= 170000
            THEN ARRAY['MAINTAIN'] ELSE '{}' END) AS r (kind)
    WHERE o.relkind IN ('r', 'p', 'v', 'm', 'f') AND has_table_privilege(o.oid, r.kind)
    UNION
    SELECT r.kind || ' on ' || o.oid::regclass || '.' || o.attname FROM ours AS o
    CROSS JOIN (VALUES ('INSERT'), ('UPDATE'), ('REFERENCES')) AS r (kind)
    WHERE o.relkind IN ('r', 'p', 'v', 'm', 'f') AND has_column_privilege(o.oid, o.attname, r.kind)
    UNION
    SELECT r.kind || ' on ' || o.oid::regclass FROM ours AS o
    CROSS JOIN (VALUES ('USAGE'), ('UPDATE')) AS r (kind)
    WHERE o.relkind = 'S' AND has_sequence_privilege(o.oid, r.kind)
    UNION
    SELECT 'CREATE in ' || n.nspname FROM pg_namespace AS n
    WHERE has_schema_privilege(n.oid, 'CREATE') AND n.oid <> pg_my_temp_schema()
    UNION
    SELECT 'CREATE on ' || d.datname FROM pg_database AS d
    WHERE has_database_privilege(d.oid, 'CREATE')
    UNION
    SELECT 'CREATE on ' || t.spcname FROM pg_tablespace AS t
    WHERE has_tablespace_privilege(t.oid, 'CREATE')
    UNION
    -- a function that is STABLE and the definer's may call one that writes
    SELECT p.oid::regprocedure::text FROM pg_proc AS p
    WHERE p.pronamespace IN (SELECT oid FROM pg_namespace WHERE nspname LIKE 'entasis%')
        AND p.provolatile = 'v' AND has_function_privilege(p.oid, 'EXECUTE')
    UNION
    -- what its roles were given of the server's own: all of them look
    SELECT p.oid::regprocedure::text FROM pg_proc AS p CROSS JOIN aclexplode(p.proacl) AS a
    WHERE a.grantee <> 0 AND a.grantee <> p.proowner AND pg_has_role(a.grantee, 'USAGE')
        AND p.pronamespace = 'pg_catalog'::regnamespace
        AND p.proname !~ '^pg_(ls_|stat_|show_|current_logfile|get_(shmem_|backend_m|dsm|aios))'
    UNION
    SELECT 'SET ROLE ' || r.rolname FROM pg_roles AS r
    WHERE r.rolname <> session_user AND pg_has_role(r.oid, 'MEMBER')
        AND r.rolname NOT IN ('entasis_monitor', 'pg_monitor', 'pg_read_all_settings',
            'pg_read_all_stats', 'pg_stat_scan_tables')
    ORDER BY 1
"""
OF_EACH = (
    "INSERT INTO {} DEFAULT VALUES",
    "DELETE FROM {}",
    "TRUNCATE {} CASCADE",
    "LOCK TABLE {} IN ROW EXCLUSIVE MODE",
    "COPY {} FROM PROGRAM 'true'",
    "ALTER TABLE {} SET (autovacuum_enabled = off)",
    "DROP TABLE {} CASCADE",
    "CREATE INDEX ON {} ((1))",
    "CREATE TRIGGER t AFTER INSERT ON {} EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "CREATE RULE r AS ON INSERT TO {} DO NOTHING",
    "COMMENT ON TABLE {} IS 'mine'",
)
OF_ALL = (
    "SET ROLE entasis_owner",
    "SET ROLE entasis_admin",
    "SET SESSION AUTHORIZATION entasis_owner",
    "SET session_replication_role = replica",
    "ALTER SYSTEM SET fsync = off",
    "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone = ''Asia/Tokyo''',"
    " current_database()); END $$",
    "ALTER ROLE entasis_reader SET timezone = 'Asia/Tokyo'",
    "ALTER ROLE entasis_monitor SUPERUSER",
    "CREATE ROLE more",
    "CREATE DATABASE more",
    "CREATE SCHEMA more",
    "CREATE TABLE public.more (a int)",
    "CREATE FUNCTION entasis.more() RETURNS int RETURN 1",
    "CREATE PUBLICATION more FOR ALL TABLES",
    "CREATE EVENT TRIGGER more ON ddl_command_start"
    " EXECUTE FUNCTION entasis_internal.refuse_truncate()",
    "GRANT entasis_admin TO entasis_monitor",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "COPY (SELECT 1) TO '/tmp/entasis-monitor'",
    "CHECKPOINT",
    "SELECT pg_reload_conf()",
    "SELECT pg_rotate_logfile()",
    "SELECT pg_switch_wal()",
    "SELECT pg_create_restore_point('more')",
    "SELECT pg_promote()",
    "SELECT pg_wal_replay_pause()",
    "SELECT pg_create_physical_replication_slot('more')",
    "SELECT pg_drop_replication_slot('more')",
    "SELECT pg_replication_origin_create('more')",
    "SELECT pg_stat_reset()",
    "SELECT pg_stat_reset_shared('bgwriter')",
    "SELECT pg_stat_reset_single_table_counters('entasis.runs'::regclass)",
    "SELECT pg_read_file('postgresql.conf')",
    "SELECT lo_import('/etc/hostname')",
    "SELECT nextval('entasis.predictions_id_seq')",
    "SELECT setval('entasis.predictions_id_seq', 1)",
    "SELECT count(*) FROM pg_authid",
)


def rights(monitor: Connection) -> list[str]:
    """Return what a login may change, by the catalogs."""
    return [right for (right,) in monitor.execute(HELD.encode())]


def changes(monitor: Connection, other: int) -> Iterator[str]:
    """Try all, and give what is not refused. ``other`` is the process of somebody else."""
    yield from rights(monitor)
    relations = monitor.execute("""
        SELECT n.nspname, c.relname, min(a.attname) FROM pg_class AS c
        INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
        INNER JOIN pg_attribute AS a ON c.oid = a.attrelid AND a.attnum > 0
            AND NOT a.attisdropped
        WHERE n.nspname LIKE 'entasis%' AND c.relkind IN ('r', 'p', 'v')
        GROUP BY n.nspname, c.relname
    """).fetchall()
    assert len(relations) > 40
    for schema, name, column in relations:
        named = sql.Identifier(schema, name)
        for text in OF_EACH:
            yield from _tried(monitor, sql.SQL(text).format(named))
        update = sql.SQL("UPDATE {0} SET {1} = NULL").format(named, sql.Identifier(column))
        yield from _tried(monitor, update)
    for text in OF_ALL:
        yield from _tried(monitor, sql.SQL(text))
    for function in ("pg_cancel_backend", "pg_terminate_backend"):
        yield from _tried(monitor, sql.SQL(f"SELECT {function}({other})"))


def _tried(monitor: Connection, statement: sql.Composable) -> Iterator[str]:
    try:
        with monitor.transaction(force_rollback=True):
            monitor.execute(statement)
    except REFUSED:
        return
    except psycopg.errors.ActiveSqlTransaction:  # CREATE DATABASE: who may is asked later
        try:
            monitor.execute(statement)
        except REFUSED:
            return
    yield statement.as_string(monitor)


def seen(connection: Connection) -> set[Any]:
    """Return what checks look at, but for what sessions do meanwhile."""
    return set(
        connection.execute(
            "SELECT check_name, subject, value IS NULL FROM entasis_internal.health_values()"
            " WHERE check_name NOT IN ('idle_in_transaction', 'transaction_age', 'blocked')"
        ).fetchall()
    )


def writes_nothing(monitor: Connection) -> None:
    """Call whatever of ours may be called without arguments, where nothing may be written."""
    called = monitor.execute("""
        SELECT p.oid::regproc::text FROM pg_proc AS p
        WHERE p.pronamespace IN (SELECT oid FROM pg_namespace WHERE nspname LIKE 'entasis%')
            AND p.pronargs - p.pronargdefaults <= 0 AND p.prokind = 'f'
            AND has_function_privilege(p.oid, 'EXECUTE')
    """).fetchall()
    assert len(called) > 20
    with monitor.transaction(force_rollback=True):
        monitor.execute("SET TRANSACTION READ ONLY")
        monitor.execute("SELECT * FROM entasis.health")
        for (name,) in called:
            monitor.execute(f"SELECT * FROM {name}()".encode())
