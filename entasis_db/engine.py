"""Which engine a database gets at its first migration: the one it is named, or the one it can run.

The choice is for ever, so a server that could run engine timescaledb after a small change is not
quietly given engine postgresql: the error says what to change, and how to name the other engine.
"""

import os
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import errors

from entasis_db.citus import check_cluster
from entasis_db.cursors import Cursor
from entasis_db.errors import MigrationError

_TIMESCALEDB = "timescaledb"
_PLAIN = "postgresql"
_CITUS = "citus"
# Before it, writes into compressed chunks go wrong: deleted rows stay (2.22 to 2.24), keys repeat
# (until 2.27), and a server may crash (until 2.28.0). docs/timescaledb.md has what was run.
_OLDEST_TIMESCALEDB = (2, 28, 1)
# for those who try an unsupported version on purpose
_UNSUPPORTED = "ENTASIS_UNSUPPORTED_TIMESCALEDB"
# 2.28 is the last for PostgreSQL 15.
_SUPPORTED = "2.28 from 2.28.1 on for PostgreSQL 15, 2.28.1 and later for 16 and later"

# From which minor release of each PostgreSQL on the jobs of TimescaleDB end as failed, and from
# which patch of each line of TimescaleDB on they do not.
_BREAKING_MINORS = {15: 20, 16: 16, 17: 12, 18: 7}
_MENDED = {(2, 27): 3, (2, 28): 4, (2, 31): 2, (2, 32): 1}

# a role that is missing altogether is told of by drift()
_CANNOT_SEE = """
    SELECT NOT pg_catalog.pg_has_role(r.oid, 'pg_monitor', 'MEMBER')
    FROM pg_catalog.pg_roles AS r WHERE r.rolname OPERATOR(pg_catalog.=) 'entasis_monitor'
"""

Progress = Callable[[str], None]


def choose_engine(
    connection: psycopg.Connection[Any], wanted: str | None, progress: Progress
) -> str:
    """Return the engine for a database that has none yet; leaves the database as it was.

    ``wanted`` is what the user named, or None. ``connection`` is in autocommit mode. Raises
    MigrationError when the server cannot run the engine that was named, or offers TimescaleDB's
    Community edition in a state in which it cannot be used.
    """
    if wanted == _PLAIN:
        return wanted
    if wanted == _CITUS:
        check_cluster(connection)
        return wanted
    available = _one(
        connection,
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_available_extensions"
        " WHERE name OPERATOR(pg_catalog.=) 'timescaledb')",
    )
    if not available:
        if wanted is None:
            return _PLAIN
        raise MigrationError(
            "this server does not offer the extension timescaledb. Install TimescaleDB there "
            "(Community edition), or migrate with --engine postgresql"
        )
    if not _preloaded(connection):
        raise MigrationError(
            "this server has TimescaleDB installed but not loaded. Set shared_preload_libraries = "
            "'timescaledb' and restart it, or, to do without, migrate with --engine postgresql"
        )
    version, licence, schema = _probe(connection)
    if licence != "timescale":
        if wanted is None:
            progress(
                f"engine postgresql: this server's TimescaleDB {version} is the Apache-2 edition, "
                "without continuous aggregates, columnstore and jobs"
            )
            return _PLAIN
        raise MigrationError(
            f"this server's TimescaleDB {version} runs under the licence {licence!r}, without "
            "continuous aggregates, columnstore and jobs. Install the Community edition and set "
            "timescaledb.license = 'timescale', or migrate with --engine postgresql"
        )
    if schema != "public":
        raise MigrationError(
            f"TimescaleDB is installed in schema {schema!r} of this database, and Entasis DB needs "
            "it in public. DROP EXTENSION timescaledb, if nothing here uses it, and migrate again"
        )
    _refuse_unsupported(connection, version)
    if wanted is None:
        progress(f"engine timescaledb: this server has TimescaleDB {version}, Community edition")
    return _TIMESCALEDB


def check_extension(connection: psycopg.Connection[Any]) -> None:
    """Raise MigrationError unless the TimescaleDB of a migrated database is one we support."""
    if not _preloaded(connection):
        raise MigrationError(
            "this database has engine timescaledb, and its server no longer loads TimescaleDB. Set "
            "shared_preload_libraries = 'timescaledb' and restart it"
        )
    version = _one(
        connection,
        "SELECT extversion FROM pg_catalog.pg_extension"
        " WHERE extname OPERATOR(pg_catalog.=) 'timescaledb'",
    )
    if version is None:
        raise MigrationError(
            "this database has engine timescaledb, and its extension was dropped, with all that "
            "depends on it. Restore a backup"
        )
    _refuse_unsupported(connection, version)


def check_encoding(connection: psycopg.Connection[Any]) -> None:
    """Raise MigrationError unless a database holds every character that a name may have."""
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise MigrationError(
            f"this database has the encoding {encoding}, which does not hold every name of an "
            "instrument as its exchange writes it. Migrate one that has UTF8 (CREATE DATABASE name "
            "ENCODING 'UTF8' TEMPLATE template0)"
        )


def warnings(connection: psycopg.Connection[Any]) -> tuple[str, ...]:
    """Say what is known to go wrong on this server, with what mends it; empty when nothing is.

    Needs no rights beyond connecting. ``connection`` belongs to a database of any engine, or none.
    """
    version = _one(
        connection,
        "SELECT extversion FROM pg_catalog.pg_extension"
        " WHERE extname OPERATOR(pg_catalog.=) 'timescaledb'",
    )
    found = []
    if _one(connection, _CANNOT_SEE):
        found.append(
            "entasis_monitor is no member of pg_monitor, so that entasis doctor does not see "
            "sessions, replicas and the archiver: GRANT pg_monitor TO entasis_monitor, as a login "
            "that may (a superuser, or an administrator of pg_monitor)"
        )
    if version is None:
        return tuple(found)
    server = connection.info.server_version
    try:
        check_pair(server // 10000, version)
    except MigrationError as error:
        found.append(str(error))
    if mended := mending_version(server, version):
        found.append(
            f"PostgreSQL {server // 10000}.{server % 10000} breaks the jobs of TimescaleDB "
            f"{version}: each run ends as failed (SQLSTATE 24000, cannot drop portal), although "
            f"what it committed stays. Install TimescaleDB {mended} or a later fix and run "
            "ALTER EXTENSION timescaledb UPDATE"
        )
    return tuple(found)


def mending_version(server: int, timescaledb: str) -> str | None:
    """Return the first TimescaleDB whose jobs work on this PostgreSQL; None: this one's do.

    ``server`` is PostgreSQL's server_version_num, ``timescaledb`` the version of the extension.
    """
    major, minor = divmod(server, 10000)
    if minor < _BREAKING_MINORS.get(major, minor + 1):
        return None
    numbers = _numbers(timescaledb)
    # 2.28 is the last line for PostgreSQL 15
    lines = [line for line in sorted(_MENDED) if major > 15 or line <= (2, 28)]
    if numbers[:2] > max(_MENDED) or numbers[2] >= _MENDED.get(numbers[:2], numbers[2] + 1):
        return None
    line = next((line for line in lines if line >= numbers[:2]), lines[-1])
    return f"{line[0]}.{line[1]}.{_MENDED[line]}"


def _numbers(version: str) -> tuple[int, int, int]:
    major, minor, patch = (*(int(part) for part in version.split("-")[0].split(".")), 0, 0)[:3]
    return major, minor, patch


def _preloaded(connection: psycopg.Connection[Any]) -> bool:
    # Not everybody may read shared_preload_libraries. This setting is the loader's own.
    return (
        _one(connection, "SELECT pg_catalog.current_setting('timescaledb.disable_load', true)")
        is not None
    )


def _probe(connection: psycopg.Connection[Any]) -> tuple[str, str, str]:
    """Return TimescaleDB's version, licence and schema, creating it for a moment if need be."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute("SET LOCAL client_min_messages = error")
            # The licence is unknown until the library is loaded, which the extension does.
            connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb SCHEMA public")
            row = connection.execute(
                """
                SELECT
                    e.extversion,
                    pg_catalog.current_setting('timescaledb.license', true),
                    e.extnamespace::pg_catalog.regnamespace::pg_catalog.text
                FROM pg_catalog.pg_extension AS e
                WHERE e.extname OPERATOR(pg_catalog.=) 'timescaledb'
                """
            ).fetchone()
    except errors.InsufficientPrivilege as error:
        raise MigrationError(
            "this login may not create the extension timescaledb, so it cannot be told whether "
            "this server has the Community edition. Have it created once by a superuser "
            "(CREATE EXTENSION timescaledb), or migrate with --engine postgresql"
        ) from error
    assert row is not None
    return row[0], row[1], row[2]


def _refuse_unsupported(connection: psycopg.Connection[Any], version: str) -> None:
    if os.environ.get(_UNSUPPORTED) != "yes":
        check_pair(connection.info.server_version // 10000, version)


def check_pair(server: int, version: str) -> None:
    """Raise MigrationError unless this TimescaleDB is supported on this major PostgreSQL."""
    numbers = _numbers(version)
    if numbers < _OLDEST_TIMESCALEDB or (server == 15 and numbers[:2] > (2, 28)):
        raise MigrationError(
            f"TimescaleDB {version} on PostgreSQL {server} is not supported; supported are "
            f"{_SUPPORTED}. Upgrade with ALTER EXTENSION timescaledb UPDATE, or migrate with "
            "--engine postgresql"
        )


def _one(connection: psycopg.Connection[Any], query: str) -> Any:
    row = Cursor(connection).execute(query.encode()).fetchone()
    return row[0] if row is not None else None
