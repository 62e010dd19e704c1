"""Brings a database to this release: yoyo applies ``migrations/``, then ``schema/`` is re-applied.

Everything happens under one lease, over a direct connection: two migrators wait for each other. It
may be killed at any moment and run again: each migration is one transaction, with the checksum of
its text, and may be applied twice (yoyo records it in a second transaction); what holds no rows is
replaced in one transaction at the end.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from psycopg import errors, sql
from psycopg.conninfo import conninfo_to_dict
from yoyo import read_migrations
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.connections import DatabaseURI
from yoyo.migrations import default_migration_table

from entasis_db import __version__
from entasis_db.adoption import (
    adopt,
    are_strangers,
    refuse_foreign,
    refuse_incomplete_ledger,
    refuse_missing_tables,
    refuse_unnamed_engine,
)
from entasis_db.citus import check_cluster, refuse_worker
from entasis_db.engine import check_encoding, check_extension, choose_engine
from entasis_db.errors import MigrationError
from entasis_db.ledger import (
    SCHEMA,
    Migration,
    Status,
    exists,
    installation,
    migration_folders,
    record_text,
    refuse_other_texts,
    status,
)
from entasis_db.own_session import require_own_session
from entasis_db.resources import SchemaOrder, engines, schema_order, sql_root
from entasis_db.runs import record
from entasis_db.search_path import PIN

__all__ = ["OLDEST_SERVER", "Migration", "Status", "migrate", "status"]

OLDEST_SERVER = 15
_LEASE = "entasis_internal.take_lease(text)"
_ROLES = ("roles", "owner_login")
# what two sessions that make the same objects get, and one of them tries again
_RACES = (
    errors.UniqueViolation,
    errors.DuplicateObject,
    errors.DuplicateSchema,
    errors.DuplicateTable,
    errors.DuplicateFunction,
    errors.InternalError_,
    errors.LockNotAvailable,
    errors.DeadlockDetected,
)
# a migration that waits for a lock holds up everybody behind it: better give up and come again
_LOCK_TIMEOUT = "5s"
_ATTEMPTS = 6
_PATIENCE = 600.0  # s to wait for another migration

Progress = Callable[[str], None]

# what must be entasis_owner's before a lease can be had
_OF_LEASES = frozenset(
    {
        *("entasis", "entasis_internal", "entasis_migrations", "entasis_internal.leases"),
        *("entasis_internal.is_session_there", "entasis_internal.take_lease"),
        "entasis_internal.release_lease",
    }
)


def migrate(
    dsn: str,
    *,
    engine: str | None = None,
    progress: Progress = lambda _: None,
    session_pooler: bool = False,
) -> Status:
    """Bring the database to this release and return what it then is.

    ``dsn`` is a libpq connection string of a direct connection. ``engine`` names the engine at the
    first migration; without it, one is chosen. Later runs read it from the database. ``progress``
    is called with a line for each step, the name of the restore point before the first change
    among them. ``session_pooler`` says that a pooler in front keeps a
    session for each client, of which this takes three.

    Raises SessionError behind any other pooler, and on a replica; MigrationError when the server is
    too old or read-only, when the database has another engine or a newer release, when a right is
    missing, or when a lock could not be had in time; and its subclass DraftError when the database
    was made from other texts of the same migrations.
    """
    try:
        with _connected(dsn, session_pooler) as connection:
            _check_server(connection, engine)
            refuse_foreign(connection)
            with _alone(connection, engine, progress):
                run = partial(_migrate, connection, dsn, engine, progress)
                return _recorded(connection, run, progress)
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


def _recorded(
    connection: psycopg.Connection[Any], run: Callable[[], Status], progress: Progress
) -> Status:
    """Record in the log of runs how it went, once the database has one."""
    began = datetime.now(UTC)
    point = _restore_point(connection, began, progress)
    try:
        migrated = run()
    except BaseException as error:
        with suppress(psycopg.Error):
            connection.rollback()
            if exists(connection, "entasis.runs"):
                _record(connection, began, error, **point)
        raise
    _record(connection, began, None, release=migrated.release, **point)
    return migrated


def _restore_point(
    connection: psycopg.Connection[Any], began: datetime, progress: Progress
) -> dict[str, object]:
    """Name the moment before the first change, for a recovery to go back to, where that can be."""
    if not exists(connection, "entasis.installation"):
        return {}
    name = f"entasis migrate {began:%Y-%m-%dT%H:%M:%S.%fZ}"
    try:
        connection.execute("SELECT pg_catalog.pg_create_restore_point(%s)", [name])
    except (errors.InsufficientPrivilege, errors.ObjectNotInPrerequisiteState) as error:
        progress(f"there is no restore point to go back to: {error.diag.message_primary}")
        return {}
    progress(f"restore point: {name}")
    return {"restore_point": name}


def _record(
    connection: psycopg.Connection[Any],
    began: datetime,
    error: BaseException | None = None,
    **detail: object,
) -> None:
    with connection.transaction():
        connection.execute("SET LOCAL ROLE entasis_owner")
        record(connection, "migrate", began, error, **detail)


def _migrate(
    connection: psycopg.Connection[Any], dsn: str, engine: str | None, progress: Progress
) -> Status:
    chosen = _engine(connection, engine, progress)
    order = schema_order(chosen)
    with connection.transaction():
        _apply(connection, order.bootstrap)
        adopt(connection, chosen)
        connection.execute("SET LOCAL ROLE entasis_owner")
        refuse_incomplete_ledger(connection)
        refuse_other_texts(connection, chosen)
        refuse_missing_tables(connection, chosen)
    _retry(lambda: _run_yoyo(connection, dsn, chosen, progress), progress)
    _retry(lambda: _apply_stateless(connection, order, progress), progress)
    migrated = status(connection)
    for warning in migrated.warnings:
        progress(f"warning: {warning}")
    for change in migrated.drift:
        progress(f"left as it is: {change}")
    return migrated


@contextmanager
def _connected(dsn: str, session_pooler: bool) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(
        dsn, autocommit=True, application_name="entasis migrate", client_encoding="UTF8"
    ) as connection:
        require_own_session(connection, "migrate", session_pooler=session_pooler)
        # Every name in schema/ is qualified or PostgreSQL's own; nothing in public can stand in.
        connection.execute(PIN)
        connection.execute("SET client_min_messages = warning")
        connection.execute(sql.SQL("SET lock_timeout = {}").format(sql.Literal(_LOCK_TIMEOUT)))
        try:
            yield connection
        finally:
            _leave_nothing(connection)


def _leave_nothing(connection: psycopg.Connection[Any]) -> None:
    """Hand a session back to a pooler as it was, whether or not that discards what clients set."""
    if not connection.closed:
        with suppress(psycopg.Error):  # the session has ended, and all of it
            connection.rollback()
            connection.execute("DISCARD ALL")


def _check_server(connection: psycopg.Connection[Any], wanted: str | None) -> None:
    version = connection.info.server_version
    if version < OLDEST_SERVER * 10000:
        raise MigrationError(
            f"this server is PostgreSQL {version // 10000}; "
            f"Entasis DB needs {OLDEST_SERVER} or later"
        )
    check_encoding(connection)
    # before anything is made there
    if wanted == "citus":
        check_cluster(connection)
    else:
        refuse_worker(connection)


@contextmanager
def _alone(
    connection: psycopg.Connection[Any], wanted: str | None, progress: Progress
) -> Iterator[None]:
    """Let one migration of the database go on at a time."""
    _make_lease(connection, wanted)
    told, until = False, time.monotonic() + _PATIENCE
    while (
        holder := _as_owner(connection, "SELECT entasis_internal.take_lease('migrate')")
    ) is not None:
        if not told:
            progress(f"another migration is running ({holder}); waiting for it to end")
            told = True
        if time.monotonic() > until:
            raise MigrationError(
                f"another migration has been running for {_PATIENCE:.0f} s ({holder}). If it does "
                "nothing any more, end it with pg_terminate_backend(), and try again"
            )
        time.sleep(0.2)
    try:
        yield
    finally:
        if not connection.closed:
            with suppress(psycopg.Error):  # the session has ended, and the lease with it
                connection.rollback()
                _as_owner(connection, "SELECT entasis_internal.release_lease('migrate')")


def _make_lease(connection: psycopg.Connection[Any], wanted: str | None) -> None:
    """Make what leases need, in a database that does not have it; several may do so at once."""
    for attempt in range(1, 11):
        row = connection.execute(
            "SELECT CASE WHEN pg_catalog.to_regrole('entasis_owner') IS NOT NULL"
            " THEN pg_catalog.has_function_privilege('entasis_owner',"
            " pg_catalog.to_regprocedure(%s)::pg_catalog.oid, 'EXECUTE') END",
            [_LEASE],
        ).fetchone()
        if row is not None and row[0] and not are_strangers(connection, _OF_LEASES):
            return
        try:
            # all that they need is every engine's, but for how the nodes of a cluster log in
            files = schema_order("citus" if wanted == "citus" else "postgresql").bootstrap
            bootstrap = [file for file in files if file.parent.name == "bootstrap"]
            if wanted == "citus":
                # by themselves: nodes of a cluster know roles, and then schemas, when committed
                for part in ([file for file in bootstrap if file.stem in _ROLES], bootstrap):
                    with connection.transaction():
                        _apply(connection, part)
                bootstrap = []
            with connection.transaction():
                _apply(connection, bootstrap)
                adopt(connection, "postgresql", _OF_LEASES)
                _apply(connection, [file for file in files if file.parent.name != "bootstrap"])
        except _RACES:
            if attempt == 10:
                raise
            time.sleep(0.1 * attempt)


def _as_owner(connection: psycopg.Connection[Any], query: str) -> Any:
    with connection.transaction():
        connection.execute("SET LOCAL ROLE entasis_owner")
        row = connection.execute(query.encode()).fetchone()
    return row[0] if row is not None else None


def _engine(connection: psycopg.Connection[Any], wanted: str | None, progress: Progress) -> str:
    if wanted is not None and wanted not in engines():
        raise MigrationError(
            f"there is no engine {wanted!r} in this release; it has {', '.join(engines())}"
        )
    installed = installation(connection)
    if installed is None:
        refuse_unnamed_engine(connection)
        return choose_engine(connection, wanted, progress)
    if wanted not in (None, installed.engine):
        raise MigrationError(
            f"this database was made for engine {installed.engine!r} and cannot become "
            f"{wanted!r}; to move it to another database: entasis dump --portable, and there "
            f"entasis restore-dump --engine {wanted}"
        )
    if installed.engine not in engines():
        raise MigrationError(
            f"this database has engine {installed.engine!r}, which this release does not know; "
            "install the release of entasis-db that made it, or a later one"
        )
    if installed.engine == "timescaledb":
        check_extension(connection)
    return installed.engine


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
    # We have the lease, so a row in yoyo's own lock table was left by a killed process.
    if exists(connection, "entasis_migrations.yoyo_lock"):
        connection.execute("DELETE FROM entasis_migrations.yoyo_lock")
    with _Backend(_yoyo_uri(dsn), default_migration_table) as backend:
        backend.init_database()
        migrations = read_migrations(*map(str, migration_folders(engine)))
        pending = backend.to_apply(migrations)
        with backend.lock():
            for migration in pending:
                progress(f"applying {migration.id}")
                record_text(migration)
                backend.apply_one(migration)
        if left := list(backend.to_apply(migrations)):
            raise MigrationError(f"not applied: {', '.join(m.id for m in left)}")


class _Backend(PostgresqlPsycopgBackend):  # type: ignore[misc]
    """yoyo's, acting as entasis_owner from its first statement on.

    So yoyo's tables, like everything else, belong to the role that nobody can log in as. Poolers
    refuse such settings at the start of a connection.
    """

    def connect(self, dburi: DatabaseURI) -> psycopg.Connection[Any]:
        connection: psycopg.Connection[Any] = super().connect(dburi)
        try:
            connection.execute(sql.SQL("SET lock_timeout = {}").format(sql.Literal(_LOCK_TIMEOUT)))
            connection.execute("SET ROLE entasis_owner")
        except BaseException:
            connection.close()
            raise
        return connection

    def __exit__(self, *error: object) -> None:
        _leave_nothing(self.connection)
        super().__exit__(*error)


def _yoyo_uri(dsn: str) -> DatabaseURI:
    """Return the connection in yoyo's own form, without writing a password into a URL."""
    given: dict[str, Any] = {k: v for k, v in conninfo_to_dict(dsn).items() if v is not None}
    return DatabaseURI(
        scheme="postgresql+psycopg",
        username=given.pop("user", None),
        password=given.pop("password", None),
        hostname=given.pop("host", None),
        port=given.pop("port", None),
        database=given.pop("dbname", None),
        args={**given, "client_encoding": "UTF8", "schema": SCHEMA},
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
            "UPDATE entasis.installation SET release = %s,"
            " applied_at = pg_catalog.clock_timestamp()",
            [__version__],
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
