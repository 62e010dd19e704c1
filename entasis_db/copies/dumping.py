"""Dumping a database: its roles, its rows, and what it then says of itself."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from entasis_db.citus import is_citus
from entasis_db.copies import programs
from entasis_db.copies.content import NOTHING, content, snapshot
from entasis_db.copies.dumped import (
    PG_DUMP,
    ROLES,
    Dumped,
    files,
    new_folder,
    write_manifest,
)
from entasis_db.copies.roles import roles, script
from entasis_db.copies.rows import read_rows, refuse_unknown
from entasis_db.cursors import execute
from entasis_db.errors import CopyError
from entasis_db.ledger import installation
from entasis_db.own_session import require_own_session
from entasis_db.runs import recorded
from entasis_db.search_path import PIN

Progress = Callable[[str], None]

_NEWEST = 99
_RIGHTS = """
    SELECT r.rolsuper OR (
        r.rolbypassrls
        AND pg_catalog.pg_has_role('pg_read_all_data', 'USAGE')
        AND pg_catalog.pg_has_role('entasis_admin', 'USAGE')
    ), r.rolsuper
    FROM pg_catalog.pg_roles AS r WHERE r.rolname OPERATOR(pg_catalog.=) current_user
"""
_ABOUT = """
    SELECT i.release, i.engine, (
        SELECT e.extversion FROM pg_catalog.pg_extension AS e
        WHERE e.extname OPERATOR(pg_catalog.=) 'timescaledb'
    )
    FROM entasis.installation AS i
"""
# what maintenance drops lies below the floor
_GONE = """
    SELECT k.relation, k.partition_name::pg_catalog.text, k.from_time::pg_catalog.text,
        k.to_time::pg_catalog.text
    FROM entasis_internal.known_partitions AS k
    INNER JOIN entasis.floors AS f ON k.relation OPERATOR(pg_catalog.=) f.relation
    WHERE k.to_time OPERATOR(pg_catalog.>) f.floor
        AND NOT EXISTS (
            SELECT FROM entasis_internal.partitions_of(k.relation) AS p
            WHERE p.from_time OPERATOR(pg_catalog.<) k.to_time
                AND p.to_time OPERATOR(pg_catalog.>) k.from_time
        )
    ORDER BY 1, 3
"""
_LOST = """
    SELECT l.relation, l.partition_name::pg_catalog.text,
        pg_catalog.lower(r.part)::pg_catalog.text, pg_catalog.upper(r.part)::pg_catalog.text
    FROM entasis_internal.lost_ranges AS l
    CROSS JOIN LATERAL pg_catalog.unnest(l.ranges) AS r (part)
    ORDER BY 1, 3
"""


def dump(
    dsn: str,
    folder: Path,
    *,
    portable: bool = False,
    jobs: int = 2,
    role_passwords: bool = False,
    program_folder: Path | None = None,
    progress: Progress = lambda _: None,
) -> Dumped:
    """Dump a database into a new folder, and return what the dump says of itself.

    ``dsn`` is a direct connection of a superuser, or of a login with BYPASSRLS that is a member of
    pg_read_all_data and entasis_admin. pg_dump takes it, in so many ``jobs``, for the same engine
    and the same or a later version of PostgreSQL; ``portable``, it is for any engine and version,
    and the only one that there is of engine citus. Roles come without the verifiers of their
    passwords, unless ``role_passwords`` asks for them. ``program_folder`` is where pg_dump is.
    Every row is read twice.

    Raises CopyError when it could not be taken, SessionError behind a pooler and on a replica,
    psycopg.Error when the server refuses.
    """
    with psycopg.connect(dsn, autocommit=True, application_name="entasis dump") as connection:
        require_own_session(connection, "dump")
        execute(connection, PIN)
        _check(connection, role_passwords=role_passwords)
        program = None
        if not portable and is_citus(connection):
            raise CopyError(
                "pg_dump leaves behind where the shards of engine citus are: dump with --portable"
            )
        if portable:
            refuse_unknown(connection)
            # trades that came late are in no candle yet on an engine that refreshes them
            execute(connection, "SET client_min_messages = warning")
            execute(connection, "CALL entasis.refresh_candles('-infinity', 'infinity')")
        else:
            server = connection.info.server_version // 10000
            program = programs.find("pg_dump", server, _NEWEST, program_folder)
        new_folder(folder)
        with recorded(connection, "dump") as (run, detail):
            with snapshot(connection):
                dumped = _about(connection, run, program, role_passwords=role_passwords)
                _write_roles(connection, folder, dumped)
                if program is None:
                    dumped = _rows(connection, folder, dumped, progress)
                else:
                    call = programs.Call(program, dsn, jobs)
                    dumped = _by_pg_dump(connection, call, folder, dumped, progress)
            progress("reading the files back")
            dumped = replace(dumped, files=files(folder), written_at=_now())
            write_manifest(folder, dumped)
            detail.update(
                kind=dumped.kind,
                rows=sum(one.rows for one in dumped.content.relations.values()),
                bytes=sum(size for size, _ in dumped.files.values()),
            )
    return dumped


def _check(connection: psycopg.Connection[Any], *, role_passwords: bool) -> None:
    if installation(connection) is None:
        raise CopyError("Entasis DB is not installed in this database: there is nothing to dump")
    ((may, is_superuser),) = execute(connection, _RIGHTS)
    login = connection.info.user
    if not may:
        raise CopyError(
            f"{login} may not dump, because row-level security hides positions from it: dump as a "
            "superuser, or as a login with BYPASSRLS and the roles pg_read_all_data and "
            "entasis_admin"
        )
    if role_passwords and not is_superuser:
        raise CopyError(f"{login} may not read passwords of roles: dump them as a superuser")


def _about(
    connection: psycopg.Connection[Any],
    run: int,
    program: programs.Program | None,
    *,
    role_passwords: bool,
) -> Dumped:
    ((release, engine, timescaledb),) = execute(connection, _ABOUT)
    return Dumped(
        kind="portable" if program is None else "pg_dump",
        taken_at=_now(),
        written_at="",
        release=release,
        engine=engine,
        server=connection.info.server_version // 10000,
        timescaledb=timescaledb,
        program=None if program is None else program.major,
        run=run,
        migrations=dict(
            execute(connection, "SELECT m.migration, m.sha256 FROM entasis.migrations AS m")
        ),
        faults=None,
        gone=[(a, b, c, d) for a, b, c, d in execute(connection, _GONE)],
        lost=[
            (a, b, c, d)
            for a, b, c, d in (execute(connection, _LOST) if engine == "timescaledb" else ())
        ],
        columns={},
        roles=roles(connection, passwords=role_passwords),
        content=NOTHING,
        files={},
    )


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _write_roles(connection: psycopg.Connection[Any], folder: Path, dumped: Dumped) -> None:
    file = folder / ROLES
    file.touch(mode=0o600)
    file.write_text(script(dumped.roles, connection), encoding="utf-8")


def _by_pg_dump(
    connection: psycopg.Connection[Any],
    call: programs.Call,
    folder: Path,
    dumped: Dumped,
    progress: Progress,
) -> Dumped:
    ((exported,),) = execute(connection, "SELECT pg_catalog.pg_export_snapshot()")
    progress(f"pg_dump {call.program.major} writes the dump, and every row is counted meanwhile")
    options = [
        "--format=directory",
        f"--jobs={call.jobs}",
        f"--snapshot={exported}",
        f"--file={folder / PG_DUMP}",
    ]
    mend = "If a partition was dropped meanwhile, take the dump again"
    with programs.running(call, options, mend):
        found = content(connection, dumped.engine, dumped.run)
    return replace(dumped, content=found)


def _rows(
    connection: psycopg.Connection[Any], folder: Path, dumped: Dumped, progress: Progress
) -> Dumped:
    columns = read_rows(connection, folder, progress)
    progress("counting every row, and comparing the candles with the trades")
    ((faults,),) = execute(connection, "SELECT pg_catalog.count(*) FROM entasis.check_candles()")
    return replace(
        dumped,
        content=content(connection, dumped.engine, dumped.run),
        columns=columns,
        faults=faults,
    )
