"""The server that is to be backed up: what it is, and whether it can be."""

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from entasis_db.backups.base.programs import OLDEST
from entasis_db.cursors import execute
from entasis_db.errors import BackupError


@dataclass(frozen=True)
class Source:
    """What a backup says of its server."""

    server_version: int
    system_identifier: str
    engine: str
    run: int
    run_started_at: datetime


def system_identifier(connection: psycopg.Connection[Any]) -> str:
    """Return what tells a server from all others."""
    ((found,),) = execute(
        connection, "SELECT c.system_identifier FROM pg_catalog.pg_control_system() AS c"
    )
    return str(found)


def summarize(connection: psycopg.Connection[Any]) -> bool:
    """Have a server of ours note which blocks change; say whether it did not do so before."""
    if connection.info.server_version < OLDEST * 10000 or _summarizes(connection):
        return False
    execute(connection, "ALTER SYSTEM SET summarize_wal = on")
    execute(connection, "SELECT pg_catalog.pg_reload_conf()")
    while not _summarizes(connection):
        time.sleep(0.02)
    return True


def _summarizes(connection: psycopg.Connection[Any]) -> bool:
    ((found,),) = execute(connection, "SELECT pg_catalog.current_setting('summarize_wal')")
    return bool(found == "on")


def source(connection: psycopg.Connection[Any], run: int) -> Source:
    """Describe the server, and the run in which it is backed up.

    Raises BackupError when it cannot be backed up in this way.
    """
    version = connection.info.server_version
    if version < OLDEST * 10000:
        raise BackupError(
            f"entasis backup needs PostgreSQL {OLDEST} or later, and this server is"
            f" {version // 10000}: back it up with pgBackRest (docs/recovery/backups.md)"
        )
    _check(connection)
    ((engine, started),) = execute(
        connection,
        "SELECT i.engine, r.started_at FROM entasis.installation AS i, entasis.runs AS r"
        " WHERE r.id OPERATOR(pg_catalog.=) %s",
        run,
    )
    return Source(version, system_identifier(connection), engine, run, started)


def _check(connection: psycopg.Connection[Any]) -> None:
    ((login, may, tablespaces),) = execute(
        connection,
        "SELECT r.rolname, r.rolreplication OR r.rolsuper,"
        " (SELECT pg_catalog.string_agg(t.spcname, ', ') FROM pg_catalog.pg_tablespace AS t"
        " WHERE t.oid OPERATOR(pg_catalog.>=) 16384)"
        " FROM pg_catalog.pg_roles AS r WHERE r.rolname OPERATOR(pg_catalog.=) session_user",
    )
    if not may:
        raise BackupError(
            f"the login {login} may not take a base backup: as a superuser, ALTER ROLE"
            f' "{login}" REPLICATION, and let it in by a line of pg_hba.conf for the database'
            " replication"
        )
    if not _summarizes(connection):
        raise BackupError(
            "this server does not note which blocks change, so there are no incremental backups:"
            " as a superuser, ALTER SYSTEM SET summarize_wal = on; SELECT pg_reload_conf();"
        )
    if tablespaces:
        raise BackupError(
            f"this server has tablespaces ({tablespaces}), and entasis backup keeps the data folder"
            " alone: back it up with pgBackRest (docs/recovery/backups.md)"
        )
