"""Brings a database to this release: yoyo applies ``migrations/``, then ``schema/`` is re-applied.

Everything happens under one session advisory lock, over a direct connection: two migrators wait for
each other. It may be killed at any moment and run again: each migration is one transaction and may
be applied twice (yoyo records it in a second transaction), and what holds no rows is replaced in
one transaction at the end.
"""

import hashlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import errors, sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import class_row
from yoyo import read_migrations
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.connections import DatabaseURI
from yoyo.migrations import default_migration_table

from entasis_db import release
from entasis_db.engine import check_extension, choose_engine
from entasis_db.errors import MigrationError
from entasis_db.resources import SchemaOrder, engines, schema_order, sql_root

OLDEST_SERVER = 15
_LEDGER_SCHEMA = "entasis_migrations"
# any number will do, as long as every release uses the same
_ADVISORY_LOCK = int.from_bytes(hashlib.sha256(b"entasis_db.migrate").digest()[:8], signed=True)
# a migration that waits for a lock holds up everybody behind it: better give up and come again
_LOCK_TIMEOUT = "5s"
_ATTEMPTS = 6

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Migration:
    """One migration of this release, and whether the database has it."""

    id: str
    applied_at: datetime | None
    """UTC; None when it is pending."""


@dataclass(frozen=True)
class Status:
    """What a database is, compared with what this release would make of it."""

    engine: str | None
    """None when Entasis DB is not installed there."""
    release: str | None
    """The release whose schema/ was applied last; None before the first run came to its end."""
    applied_at: datetime | None
    migrations: tuple[Migration, ...]

    @property
    def pending(self) -> tuple[str, ...]:
        """The migrations that the next run will apply."""
        return tuple(m.id for m in self.migrations if m.applied_at is None)


@dataclass(frozen=True)
class _Installation:
    engine: str
    release: str | None
    applied_at: datetime | None


def migrate(dsn: str, *, engine: str | None = None, progress: Progress = lambda _: None) -> Status:
    """Bring the database to this release and return what it then is.

    ``dsn`` is a libpq connection string of a direct connection (no pooler that hands sessions
    around). ``engine`` names the engine at the first migration; without it, one is chosen. Later
    runs read it from the database. ``progress`` is called with a line for each step.

    Raises MigrationError when the server is too old or read-only, when the database has another
    engine or a newer release, when a right is missing, or when a lock could not be had in time.
    """
    try:
        with _connect(dsn) as connection:
            _check_server(connection)
            _take_lock(connection, progress)
            engine = _engine(connection, engine, progress)
            order = schema_order(engine)
            _refuse_newer(connection, engine)
            with connection.transaction():
                _apply(connection, order.bootstrap)
            _retry(lambda: _run_yoyo(connection, dsn, engine, progress), progress)
            _retry(lambda: _apply_stateless(connection, order, progress), progress)
            return status(connection)
    except errors.InsufficientPrivilege as error:
        raise MigrationError(
            f"the login lacks a right: {error.diag.message_primary}. Migrate as a superuser, or as "
            "a login with CREATEROLE and with CREATE on the database"
        ) from error
    except psycopg.OperationalError as error:
        raise MigrationError(f"the database could not be reached or went away: {error}") from error
    except psycopg.Error as error:
        raise MigrationError(
            f"the server refused a statement{' '.join(['', *getattr(error, '__notes__', [])])}: "
            f"{error}. Nothing of the failed step was kept; "
            "after the cause is mended, run the migration again"
        ) from error


def status(connection: psycopg.Connection[Any]) -> Status:
    """Compare a database with this release; changes nothing.

    Needs only the rights of entasis_reader.
    """
    installed = _installation(connection)
    known = _migration_files(installed.engine if installed else engines()[0])
    applied: dict[str, datetime] = {}
    if _exists(connection, "entasis.migrations"):
        applied = dict(
            connection.execute("SELECT migration, applied_at FROM entasis.migrations").fetchall()
        )
    names = [*known, *(name for name in applied if name not in known)]
    return Status(
        engine=installed.engine if installed else None,
        release=installed.release if installed else None,
        applied_at=installed.applied_at if installed else None,
        migrations=tuple(Migration(name, applied.get(name)) for name in sorted(names)),
    )


def _connect(dsn: str) -> psycopg.Connection[Any]:
    connection: psycopg.Connection[Any] = psycopg.connect(
        dsn, autocommit=True, application_name="entasis migrate"
    )
    # Every name in schema/ is qualified or PostgreSQL's own; nothing in public can stand in.
    connection.execute("SET search_path = pg_catalog, pg_temp")
    connection.execute("SET client_min_messages = warning")
    connection.execute(sql.SQL("SET lock_timeout = {}").format(sql.Literal(_LOCK_TIMEOUT)))
    return connection


def _check_server(connection: psycopg.Connection[Any]) -> None:
    version = connection.info.server_version
    if version < OLDEST_SERVER * 10000:
        raise MigrationError(
            f"this server is PostgreSQL {version // 10000}; "
            f"Entasis DB needs {OLDEST_SERVER} or later"
        )
    row = connection.execute("SELECT pg_is_in_recovery()").fetchone()
    if row is not None and row[0]:
        raise MigrationError("this server is a read-only replica; migrate its primary")


def _take_lock(connection: psycopg.Connection[Any], progress: Progress) -> None:
    told = False
    while True:
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", [_ADVISORY_LOCK]).fetchone()
        if row is not None and row[0]:
            return
        if not told:
            progress("another migration of this database is running; waiting for it to end")
            told = True
        time.sleep(0.2)


def _exists(connection: psycopg.Connection[Any], relation: str) -> bool:
    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [relation]).fetchone()
    return row is not None and bool(row[0])


def _installation(connection: psycopg.Connection[Any]) -> _Installation | None:
    if not _exists(connection, "entasis.installation"):
        return None
    with connection.cursor(row_factory=class_row(_Installation)) as cursor:
        return cursor.execute(
            "SELECT engine, release, applied_at FROM entasis.installation"
        ).fetchone()


def _engine(connection: psycopg.Connection[Any], wanted: str | None, progress: Progress) -> str:
    if wanted is not None and wanted not in engines():
        raise MigrationError(
            f"there is no engine {wanted!r} in this release; it has {', '.join(engines())}"
        )
    installed = _installation(connection)
    if installed is None:
        return choose_engine(connection, wanted, progress)
    if wanted not in (None, installed.engine):
        raise MigrationError(
            f"this database was made for engine {installed.engine!r} and cannot become "
            f"{wanted!r}; migrate another database and load the data there"
        )
    if installed.engine not in engines():
        raise MigrationError(
            f"this database has engine {installed.engine!r}, which this release does not know; "
            "install the release of entasis-db that made it, or a later one"
        )
    if installed.engine == "timescaledb":
        check_extension(connection)
    return installed.engine


def _migration_folders(engine: str) -> list[str]:
    return [str(sql_root() / "migrations" / folder) for folder in ("core", engine)]


def _migration_files(engine: str) -> list[str]:
    return sorted(
        path.stem for folder in _migration_folders(engine) for path in Path(folder).glob("*.sql")
    )


def _refuse_newer(connection: psycopg.Connection[Any], engine: str) -> None:
    if not _exists(connection, "entasis.migrations"):
        return
    applied = connection.execute("SELECT migration FROM entasis.migrations").fetchall()
    unknown = sorted({name for (name,) in applied} - set(_migration_files(engine)))
    if unknown:
        raise MigrationError(
            f"this database has migrations that release {release()} does not know "
            f"({', '.join(unknown)}): a later release made them. Upgrade entasis-db"
        )


def _apply(connection: psycopg.Connection[Any], files: Iterable[Path]) -> None:
    for file in files:
        try:
            connection.execute(file.read_bytes())
        except psycopg.Error as error:
            error.add_note(f"in {file.relative_to(sql_root())}")
            raise


def _run_yoyo(
    connection: psycopg.Connection[Any], dsn: str, engine: str, progress: Progress
) -> None:
    # We hold the advisory lock, so a row in yoyo's own lock table was left by a killed process.
    if _exists(connection, f"{_LEDGER_SCHEMA}.yoyo_lock"):
        connection.execute("DELETE FROM entasis_migrations.yoyo_lock")
    with PostgresqlPsycopgBackend(_yoyo_uri(dsn), default_migration_table) as backend:
        backend.init_database()
        migrations = read_migrations(*_migration_folders(engine))
        pending = backend.to_apply(migrations)
        with backend.lock():
            for migration in pending:
                progress(f"applying {migration.id}")
                backend.apply_one(migration)
        if left := list(backend.to_apply(migrations)):
            raise MigrationError(f"not applied: {', '.join(m.id for m in left)}")


def _yoyo_uri(dsn: str) -> DatabaseURI:
    """Return the connection in yoyo's own form, without writing a password into a URL.

    It acts as entasis_owner from its first statement on, so that yoyo's tables, like everything
    else, belong to the role that nobody can log in as.
    """
    given: dict[str, Any] = {k: v for k, v in conninfo_to_dict(dsn).items() if v is not None}
    options = [
        given.pop("options", ""),
        "-c role=entasis_owner",
        f"-c lock_timeout={_LOCK_TIMEOUT}",
    ]
    return DatabaseURI(
        scheme="postgresql+psycopg",
        username=given.pop("user", None),
        password=given.pop("password", None),
        hostname=given.pop("host", None),
        port=given.pop("port", None),
        database=given.pop("dbname", None),
        args={**given, "options": " ".join(options).strip(), "schema": _LEDGER_SCHEMA},
    )


def _apply_stateless(
    connection: psycopg.Connection[Any], order: SchemaOrder, progress: Progress
) -> None:
    progress(
        f"applying {len(order.stateless)} functions, views, triggers, policies, grants, comments"
    )
    with connection.transaction():
        connection.execute("SET LOCAL ROLE entasis_owner")
        _apply(connection, order.stateless)
        connection.execute(
            "UPDATE entasis.installation SET release = %s, applied_at = clock_timestamp()",
            [release()],
        )


def _retry(step: Callable[[], None], progress: Progress) -> None:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            step()
        except (errors.LockNotAvailable, errors.DeadlockDetected) as error:
            if attempt == _ATTEMPTS:
                raise MigrationError(
                    f"tables stayed in use through {_ATTEMPTS} attempts of {_LOCK_TIMEOUT} each. "
                    "Look for long transactions in pg_stat_activity, and run the migration again"
                ) from error
            progress(f"tables are in use; attempt {attempt} of {_ATTEMPTS} gave up, trying again")
            time.sleep(attempt)
        else:
            return
