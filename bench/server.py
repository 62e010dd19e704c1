"""The server that is measured, and the databases that are made on it and taken away again."""

import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from bench import data
from entasis_db.embedded import Cluster, embedded_cluster
from entasis_db.engine import choose_engine
from entasis_db.errors import MigrationError
from entasis_db.migrate import migrate

# Everything else is as PostgreSQL comes.
DURABLE: Mapping[str, str] = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",
}
"""What a durable server has."""
VOLATILE: Mapping[str, str] = {
    **DURABLE,
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
}
"""For a run whose figures mean nothing."""
_SHOWN = (
    *DURABLE,
    "checkpoint_timeout",
    "wal_level",
    "wal_compression",
    "autovacuum",
    "work_mem",
    "max_parallel_workers_per_gather",
    "jit",
)
_TRIES = 4
# TimescaleDB's launcher looks into every database now and then, and so keeps it from being copied.
_END_SCHEDULER = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = %s AND backend_type LIKE 'TimescaleDB%%'
"""
_TIMESCALEDB = """
    SELECT max(default_version) FROM pg_available_extensions WHERE name = 'timescaledb'
"""
_SMALL = 100 * 2**20


class Server:
    """A running server; what it lends is gone when it is closed."""

    def __init__(self, dsn: str, origin: str, folder: Path | None = None) -> None:
        self.origin = origin
        self._dsn = dsn
        self._folder = folder
        self._prefix = f"entasis_bench_{secrets.token_hex(4)}"
        self._made: list[str] = []
        self._check_rights()

    def dsn(self, database: str) -> str:
        """Return the connection string of one database."""
        return make_conninfo(self._dsn, dbname=database)

    def connect(self, database: str) -> psycopg.Connection[Any]:
        """Connect in autocommit mode; days and hours are UTC's."""
        connection: psycopg.Connection[Any] = psycopg.connect(self.dsn(database), autocommit=True)
        connection.execute("SET timezone = 'UTC'")
        return connection

    def migrated(self, engine: str = "postgresql") -> str:
        """Make an empty database of this release, with the partitions of the made-up trades."""
        name = self._create("migrated", "template0")
        migrate(self.dsn(name), engine=engine)
        with self.connect(name) as connection:
            connection.execute(
                "SELECT entasis.ensure_partitions('market_data', %s, %s)", [data.START, data.END]
            )
        return name

    def offers_timescaledb(self) -> bool:
        """Say whether engine timescaledb can be migrated here."""
        name = self.clone("template0", "probe")
        try:
            with self.connect(name) as connection:
                return choose_engine(connection, None, lambda _: None) == "timescaledb"
        except MigrationError:
            return False
        finally:
            self.drop(name)

    def seal(self, name: str) -> None:
        """Keep everybody out of a template: no scheduler of jobs is at work while it is copied."""
        self._execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false"), name)
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
                [name],
            )

    def clone(self, template: str, label: str) -> str:
        """Copy a database that nobody is connected to."""
        return self._create(label, template)

    def drop(self, name: str) -> None:
        """Drop a database, and whoever is still connected to it."""
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)"), name)
        self._made.remove(name)

    def checkpoint(self) -> None:
        """Write out what earlier work left in memory, so that the next arm does not pay for it."""
        self._execute(sql.SQL("CHECKPOINT"))

    def facts(self) -> dict[str, Any]:
        """Describe the server and its settings, as it reports them."""
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            version = _value(connection, "SHOW server_version")
            timescaledb = _value(connection, _TIMESCALEDB)
            settings: dict[str, str] = dict(
                connection.execute(
                    "SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY(%s)",
                    [list(_SHOWN)],
                ).fetchall()
            )
        return {
            "version": version,
            "timescaledb": timescaledb,
            "origin": self.origin,
            "filesystem": None if self._folder is None else _filesystem(self._folder),
            "settings": {name: settings[name] for name in _SHOWN if name in settings},
        }

    def close(self) -> None:
        """Drop every database that was made here."""
        for name in list(self._made):
            self.drop(name)

    def _create(self, label: str, template: str) -> str:
        name = f"{self._prefix}_{label}_{secrets.token_hex(2)}"
        # noted first: an interrupted CREATE may have come to its end on the server
        self._made.append(name)
        statement = "CREATE DATABASE {} TEMPLATE {} STRATEGY " + self._strategy(template)
        for tries in reversed(range(_TRIES)):
            try:
                with psycopg.connect(self._dsn, autocommit=True) as connection:
                    connection.execute(_END_SCHEDULER, [template])
                self._execute(sql.SQL(statement), name, template)
            except psycopg.errors.ObjectInUse:
                if not tries:
                    raise
            else:
                break
        return name

    def _strategy(self, template: str) -> LiteralString:
        """Choose how to copy: by the log is quick for what is small, and a flood for the rest."""
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            size = _value(connection, "SELECT pg_database_size(%s)", template)
        return "WAL_LOG" if size < _SMALL else "FILE_COPY"

    def _execute(self, statement: sql.SQL, *names: str) -> None:
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            connection.execute(statement.format(*map(sql.Identifier, names)))

    def _check_rights(self) -> None:
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            able = _value(connection, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        if not able:
            raise PermissionError(
                "the benchmark creates databases, sets checkpoints and disables triggers: give it "
                "a DATABASE_URL of a superuser, or none"
            )


@contextmanager
def running(dsn: str | None, settings: Mapping[str, str] = DURABLE) -> Iterator[Server]:
    """Lend the server of ``dsn``, or without one a temporary cluster; leave nothing of it behind.

    ``settings`` are those of the cluster.

    (On a server of the caller's own, the roles of Entasis DB stay: they belong to the cluster, and
    other databases may use them.)
    """
    if dsn is not None:
        server = Server(dsn, "the server of DATABASE_URL")
        try:
            yield server
        finally:
            with _undisturbed():
                server.close()
        return
    home = Path(tempfile.mkdtemp(prefix="entasis-bench-"))
    cluster = None
    try:
        # when root calls, the server's own user must be able to pass through
        home.chmod(0o711)
        cluster = Cluster(embedded_cluster().bindir, home / "cluster", settings)
        cluster.start()
        yield Server(cluster.dsn("postgres"), "a temporary cluster of the embedded wheel", home)
    finally:
        with _undisturbed():
            if cluster is not None:
                cluster.destroy()
            shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let an impatient second Ctrl-C not leave half of everything behind."""
    signals = (signal.SIGINT, signal.SIGTERM)
    handlers = [signal.signal(number, signal.SIG_IGN) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, handlers, strict=True):
            signal.signal(number, handler)


def _value(connection: psycopg.Connection[Any], query: LiteralString, *params: object) -> Any:
    row = connection.execute(query, params or None).fetchone()
    assert row is not None
    return row[0]


def _filesystem(folder: Path) -> str | None:
    """Name the kind of file system under a folder: on some, fsync costs nothing."""
    with suppress(OSError):
        device = folder.stat().st_dev
        number = f"{os.major(device)}:{os.minor(device)}"
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            mount, _, source = line.partition(" - ")
            if mount.split()[2] == number:
                return source.split()[0]
    return None
