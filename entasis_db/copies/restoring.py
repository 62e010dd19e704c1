"""Restoring a dump into an empty database, and comparing what came of it with the dump."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from entasis_db.copies import programs
from entasis_db.copies.comparison import differences, moved_differences
from entasis_db.copies.content import content, snapshot
from entasis_db.copies.dumped import PG_DUMP, Dumped, check_files, read_dump
from entasis_db.copies.jobs import go_on, pause
from entasis_db.copies.moving import move
from entasis_db.copies.roles import make_roles
from entasis_db.cursors import execute
from entasis_db.engine import check_encoding
from entasis_db.errors import CopyError
from entasis_db.ledger import installation
from entasis_db.own_session import require_own_session
from entasis_db.runs import record
from entasis_db.search_path import PIN

Progress = Callable[[str], None]

_STRANGERS = """
    SELECT pg_catalog.format('%I.%I', n.nspname, o.name)
    FROM (
        SELECT c.relnamespace AS schema, c.relname AS name, c.oid,
            'pg_catalog.pg_class'::pg_catalog.regclass AS class
        FROM pg_catalog.pg_class AS c
        UNION ALL
        SELECT p.pronamespace, p.proname, p.oid, 'pg_catalog.pg_proc'::pg_catalog.regclass
        FROM pg_catalog.pg_proc AS p
    ) AS o
    INNER JOIN pg_catalog.pg_namespace AS n ON o.schema OPERATOR(pg_catalog.=) n.oid
    WHERE n.nspname::pg_catalog.text
            OPERATOR(pg_catalog.!~) '^(pg_|information_schema$|_?timescaledb_)'
        AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_depend AS d
            WHERE d.classid OPERATOR(pg_catalog.=) o.class::pg_catalog.oid
                AND d.objid OPERATOR(pg_catalog.=) o.oid
                AND d.deptype OPERATOR(pg_catalog.=) 'e'::pg_catalog."char"
        )
    ORDER BY 1 LIMIT 1
"""
_SUPERUSER = """
    SELECT r.rolsuper FROM pg_catalog.pg_roles AS r
    WHERE r.rolname OPERATOR(pg_catalog.=) current_user
"""
_OFFERED = """
    SELECT v.version FROM pg_catalog.pg_available_extension_versions AS v
    WHERE v.name OPERATOR(pg_catalog.=) 'timescaledb'
    ORDER BY v.version OPERATOR(pg_catalog.=) %s DESC, v.version DESC LIMIT 1
"""
_AGAIN = "Drop the database, create it anew, and restore again"


@dataclass(frozen=True)
class RestoredDump:
    """What came of a dump."""

    dumped: Dumped
    """What the dump says of itself."""
    differences: tuple[str, ...]
    """Where the database differs from it, a line each; empty when it is the same."""


def compare_with_dump(dsn: str, folder: Path) -> RestoredDump:
    """Compare a database with what a dump says of itself; changes nothing.

    ``dsn`` is a superuser's, or a login's that may dump. Raises CopyError when the folder holds no
    whole dump, or the database has no Entasis DB.
    """
    dumped = read_dump(folder)
    with _connected(dsn) as connection:
        installed = installation(connection)
        if installed is None:
            raise CopyError("Entasis DB is not installed in this database")
        return RestoredDump(dumped, tuple(_differences(connection, dumped, installed.engine)))


def restore_dump(
    dsn: str,
    folder: Path,
    *,
    engine: str | None = None,
    jobs: int = 2,
    program_folder: Path | None = None,
    progress: Progress = lambda _: None,
) -> RestoredDump:
    """Restore a dump into an empty database, and compare every row with what the dump says.

    ``dsn`` is a superuser's direct connection. Roles that are missing are made first. A portable
    dump goes into either ``engine``; without one, into its own. ``jobs`` is how many connections
    pg_restore takes, and ``program_folder`` where it is. Jobs of engine timescaledb begin only when
    the database is the same as the dump.

    Raises CopyError when the dump is not whole, the database not empty, or the server not fit; and
    when a step failed, after which the database has to be made anew. SessionError behind a pooler
    and on a replica.
    """
    began = datetime.now(UTC)
    dumped = read_dump(folder)
    wanted = engine or dumped.engine
    if wanted != dumped.engine and dumped.kind == "pg_dump":
        raise CopyError(
            f"this dump is pg_dump's, of engine {dumped.engine}, and cannot be restored to "
            f"{wanted}: take one with --portable"
        )
    progress("reading the files of the dump")
    check_files(folder, dumped)
    with _connected(dsn) as connection:
        _check(connection)
        if dumped.kind == "pg_dump":
            program = _fitting(connection, dumped, program_folder)
            progress("making roles")
            make_roles(connection, dumped.roles)
            call = programs.Call(program, dsn, jobs)
            paused = _by_pg_restore(connection, call, folder, dumped, progress)
        else:
            paused = move(connection, dsn, folder, dumped, wanted, progress)
    with _connected(dsn) as connection:
        progress("collecting statistics")
        execute(connection, "ANALYZE")
        progress("comparing every row with the dump")
        found = _differences(connection, dumped, wanted)
        _record(connection, dumped, began, found)
        if not found:
            go_on(connection, paused)
    return RestoredDump(dumped, tuple(found))


@contextmanager
def _connected(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(
        dsn, autocommit=True, application_name="entasis restore-dump", client_encoding="UTF8"
    ) as connection:
        require_own_session(connection, "restore-dump")
        execute(connection, PIN)
        execute(connection, "SET client_min_messages = warning")
        yield connection


def _check(connection: psycopg.Connection[Any]) -> None:
    check_encoding(connection)
    if strangers := execute(connection, _STRANGERS):
        raise CopyError(
            f"the database is not empty ({strangers[0][0]}): a dump is restored into a new one "
            "(CREATE DATABASE name TEMPLATE template0 ENCODING 'UTF8'), never beside what is there"
        )
    ((is_superuser,),) = execute(connection, _SUPERUSER)
    if not is_superuser:
        raise CopyError(
            f"{connection.info.user} may not restore a dump, which has owners and row-level "
            "security: restore as a superuser"
        )


def _fitting(
    connection: psycopg.Connection[Any], dumped: Dumped, folder: Path | None
) -> programs.Program:
    """Find the program, and refuse a server that cannot have the dump."""
    server = connection.info.server_version // 10000
    assert dumped.program is not None
    if server < dumped.server:
        raise CopyError(
            f"this dump is of PostgreSQL {dumped.server}, and this server is {server}: take one "
            "with --portable, which any version reads"
        )
    if dumped.timescaledb is not None:
        offered = [name for (name,) in execute(connection, _OFFERED, dumped.timescaledb)]
        if dumped.timescaledb not in offered:
            said = f"offers {offered[0]}" if offered else "offers none"
            raise CopyError(
                f"this dump needs TimescaleDB {dumped.timescaledb}, and this server {said}: "
                "install that version, or take the dump with --portable"
            )
    # one that is newer than the server sets what the server does not know
    return programs.find("pg_restore", dumped.program, server, folder)


def _by_pg_restore(
    connection: psycopg.Connection[Any],
    call: programs.Call,
    folder: Path,
    dumped: Dumped,
    progress: Progress,
) -> list[int]:
    """Restore, and return the jobs that are paused."""
    many = ["--exit-on-error", f"--jobs={call.jobs}"]
    if dumped.timescaledb is None:
        progress(f"pg_restore {call.program.major} reads the dump")
        _pg_restore(call, folder, many)
        return []
    progress(f"creating TimescaleDB {dumped.timescaledb}")
    _create_extension(call.dsn, connection, dumped.timescaledb)
    # Its catalog's tables have keys to each other, and chunks are found by it: it comes first, and
    # in the order of the dump.
    catalog = ["_timescaledb_catalog", "_timescaledb_config"]
    with _restoring(call.dsn) as paused:
        progress(f"pg_restore {call.program.major} reads the dump")
        _pg_restore(call, folder, ["--section=pre-data", *many])
        only = [f"--schema={name}" for name in catalog]
        _pg_restore(call, folder, ["--section=data", "--exit-on-error", *only])
        others = [f"--exclude-schema={name}" for name in catalog]
        _pg_restore(call, folder, ["--section=data", *many, *others])
        _pg_restore(call, folder, ["--section=post-data", *many])
    return paused


def _pg_restore(call: programs.Call, folder: Path, options: list[str]) -> None:
    with programs.running(call, [*options, str(folder / PG_DUMP)], _AGAIN):
        pass


def _create_extension(dsn: str, connection: psycopg.Connection[Any], version: str) -> None:
    try:
        # one that the template had may be of another version
        execute(connection, "DROP EXTENSION IF EXISTS timescaledb")
        # a session keeps the version that it has loaded
        with _connected(dsn) as fresh:
            execute(
                fresh, f"CREATE EXTENSION timescaledb SCHEMA public VERSION '{_plain(version)}'"
            )
    except psycopg.Error as error:
        raise CopyError(
            f"TimescaleDB {version} could not be created: {error.diag.message_primary or error}"
        ) from error


def _plain(version: str) -> str:
    if not all(letter.isalnum() or letter in ".-_+" for letter in version):
        raise CopyError("the manifest of the dump names no version of TimescaleDB")
    return version


@contextmanager
def _restoring(dsn: str) -> Iterator[list[int]]:
    """Have TimescaleDB stand aside, and leave it as it was whatever happens.

    Yields a list that has the jobs that are paused, at the end.
    """
    paused: list[int] = []
    with _connected(dsn) as connection:
        execute(connection, "SELECT public.timescaledb_pre_restore()")
    try:
        yield paused
    except BaseException:
        with suppress(psycopg.Error), _connected(dsn) as connection:
            execute(connection, "SELECT public.timescaledb_post_restore()")
        raise
    with _connected(dsn) as connection, connection.transaction():
        # its scheduler begins when this commits, and finds no job of ours
        execute(connection, "SELECT public.timescaledb_post_restore()")
        paused += pause(connection)


def _differences(connection: psycopg.Connection[Any], dumped: Dumped, engine: str) -> list[str]:
    with snapshot(connection):
        found = content(connection, engine, dumped.run)
    if dumped.kind == "pg_dump":
        return differences(dumped.content, found)
    return moved_differences(dumped.content, found, other_engine=engine != dumped.engine)


def _record(
    connection: psycopg.Connection[Any], dumped: Dumped, began: datetime, found: list[str]
) -> None:
    error = CopyError(f"{len(found)} differences: {found[0]}") if found else None
    with connection.transaction():
        # its end is not in its own snapshot
        execute(
            connection,
            "UPDATE entasis.runs SET outcome = 'done', ended_at = greatest(started_at, %s)"
            " WHERE id OPERATOR(pg_catalog.=) %s AND outcome IS NULL",
            dumped.written_at,
            dumped.run,
        )
        record(connection, "restore-dump", began, error, kind=dumped.kind, dumped=dumped.taken_at)
