"""What engines and servers can do, and how a server lends databases.

The servers themselves are in tests/servers.
"""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from entasis_db.migrate import migrate

REPOSITORY = Path(__file__).resolve().parent.parent
SAMPLES = REPOSITORY.parent / "shared" / "data"

CAPABILITIES = {
    "several_connections": "sessions that go on while another is in a transaction, and timeouts",
    "copy": "COPY FROM STDIN",
    "own_cluster": "the server's programs, for clusters of a test's own",
    "passwords": "logins that are asked for a password",
    "volatile_writes": "functions that are not immutable in UPDATE and in RETURNING",
    "newer_servers": "a PostgreSQL that is newer than all that were tried",
    "kills": "a server of a test's own that is killed and started again",
    "one_session": "triggers that read what the writer's session set",
    "one_role": "reads as the owner of what another role wrote in the same transaction",
    "any_datestyle": "sessions that write times in another style than ISO",
    "any_path": "statements that mean the same on any search path, kept plans too",
    "quiet_partitions": "partitions that are made while writers of the others go on",
    "standby": "a standby that answers by itself",
    "hypertables": "hypertables, their columnstore, continuous aggregates and jobs",
    "monthly_partitions": "partitions by calendar month that are made before their rows come",
    "detach": "partitions that are detached before they are dropped",
    "columnstore_writes": "writes into compressed chunks that are right",
    "candle_tables": "candles in tables, which triggers keep in the writer's own transaction",
    "user_triggers": "a user's own triggers beside ours",
    "merge": "MERGE that changes rows",
    "merge_of_values": "MERGE with what a client sends, taken, or refused with a class",
    "native_speed": "a server that is no slower than its machine: tests that repeat much at length",
    "move_across_partitions": "an UPDATE that moves a row to another partition",
    "moves_between_symbols": "an UPDATE of a trade's symbol, or of a quote's underlying",
    "no_superuser": "an installation by a login that may create roles and databases",
    "direct_copies": "clean batches that go by COPY straight into their table",
    "announced_sql": "caches that hear of what plain SQL writes",
    "one_server": "plans and counters of one server that tell of all that is read",
    "copy_errors": "errors of triggers in COPY with their SQLSTATE",
    "pg_dump": "a database that pg_dump takes whole",
    "moving": "an engine beside postgresql, so that rows move between the two",
    "workers": "a Citus cluster whose shards are on several workers",
}
"""What not every server can do. Each is a marker: a test that has it is skipped on the others, and
``database.can("detach")`` is for tests that go on either way."""

_ENGINES_LACK: dict[str, dict[str, str]] = {
    "postgresql": {
        "columnstore_writes": "engine timescaledb alone has a columnstore",
        "hypertables": "engine timescaledb alone has hypertables, a columnstore and jobs",
        "moving": "rows move between engine postgresql and another",
        "workers": "engine citus alone has shards",
    },
    "citus": {
        "columnstore_writes": "engine timescaledb alone has a columnstore",
        "hypertables": "engine timescaledb alone has hypertables, a columnstore and jobs",
        "pg_dump": "it leaves behind where the shards are, and is refused",
        "passwords": "nodes let each other in without one, from the address of all clients",
        "volatile_writes": "Citus refuses functions that are not immutable where rows are written",
        "newer_servers": "a Citus is of one release of PostgreSQL",
        "kills": "a cluster is killed in parts, in tests/citus",
        "quiet_partitions": "making a partition, Citus locks the indexes of the others",
        "standby": "a standby asks the nodes that its primary asks",
        "detach": "Citus refuses DETACH PARTITION CONCURRENTLY",
        "merge": "Citus takes no MERGE from values",
        "merge_of_values": "Citus has an error without a class for it",
        "user_triggers": "Citus takes a trigger of a distributed table for unsafe",
        "moves_between_symbols": "a shard is a symbol's, and Citus refuses to move rows",
        "no_superuser": "a superuser joins the nodes of a cluster",
        "direct_copies": "a COPY that fails on a shard does not say why, so all is staged",
        "announced_sql": "triggers on shards cannot notify",
        "one_server": "what a shard reads, its own node counts",
        "copy_errors": "what fails in COPY on a shard has SQLSTATE XX000",
    },
    "timescaledb": {
        "monthly_partitions": "chunks are made by the rows that need them",
        "detach": "a chunk is dropped without being detached before",
        "candle_tables": "candles are continuous aggregates",
        "user_triggers": "whether a user may add triggers to a hypertable is the engine's affair",
        "merge": "a hypertable with a columnstore takes no MERGE that changes rows",
        "move_across_partitions": "a row stays in the chunk in which it is",
        "workers": "engine citus alone has shards",
    },
}
"""Why an engine cannot do it, whichever server runs it."""


@dataclass(frozen=True, eq=False)
class Source:
    """A server that can be had on this machine."""

    name: str
    engine: str
    origin: str
    """Where it comes from, for the report."""
    run: "Callable[[Source], Server]" = field(repr=False)
    """Start it."""
    bindir: Path | None = None
    """Its programs, where they are on this machine."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """What the engine needs of a cluster of these programs."""
    lacks: Mapping[str, str] = field(default_factory=dict)
    """What this server cannot do although its engine can, and why."""

    def why_not(self, capability: str) -> str | None:
        """Say why the server cannot do something; None if it can."""
        assert capability in CAPABILITIES, f"{capability} is none of {', '.join(CAPABILITIES)}"
        return self.lacks.get(capability) or _ENGINES_LACK[self.engine].get(capability)

    def can(self, capability: str) -> bool:
        """Tell whether the server can do something of CAPABILITIES."""
        return self.why_not(capability) is None


@dataclass(frozen=True)
class Database:
    """A migrated database of its own."""

    dsn: str
    """A superuser's."""
    source: Source

    @property
    def engine(self) -> str:
        """The engine's name, for what names it; what it can do is asked of ``can``."""
        return self.source.engine

    def can(self, capability: str) -> bool:
        """Tell whether the database can do something of CAPABILITIES."""
        return self.source.can(capability)

    @property
    def checks(self) -> int:
        """How many checks entasis.health has: engine citus asks its nodes and shards too."""
        return 55 if self.engine == "citus" else 52

    def connect(self, **options: Any) -> psycopg.Connection[Any]:
        """Connect as the superuser; autocommit unless told otherwise."""
        return psycopg.connect(self.dsn, **{"autocommit": True, **options})


Prepare = Callable[[psycopg.Connection[Any]], None]
"""What gives a database the rows that several tests begin with."""


class Server:
    """A running server, with a migrated template that databases are cloned from."""

    def __init__(self, source: Source, dsn: str, *, stack: ExitStack | None = None) -> None:
        """``stack`` is closed with the server; without one, the server is not ours and goes on."""
        self.source = source
        self._dsn = dsn
        self._stack = stack
        self._template = f"entasis_template_{secrets.token_hex(4)}"
        self._made: list[str] = []
        self._prepared: dict[Prepare, str] = {}
        try:
            self._make_template()
        except BaseException:
            self.close()
            raise

    def _make_template(self) -> None:
        self.create(self._template)
        migrate(self.dsn(self._template), engine=self.source.engine)
        self.seal(self._template)

    def seal(self, name: str) -> None:
        """Let nobody connect to a database any more, so that it can be copied."""
        if self.source.can("hypertables"):
            self._await_first_jobs(name)
        # no scheduler of jobs may be at work in it while it is copied
        with self.admin() as connection:
            connection.execute(
                sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(name))
            )
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
                [name],
            )

    def _await_first_jobs(self, name: str) -> None:
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
        with psycopg.connect(self.dsn(name), autocommit=True) as connection:
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
    def database(self, prepare: Prepare | None = None) -> Iterator[Database]:
        """Lend a migrated database without rows, or with those that ``prepare`` makes.

        They are made once for each server, and copied.
        """
        yield from self._lend(self._prepare(prepare) if prepare else self._template)

    def _prepare(self, prepare: Prepare) -> str:
        if prepare not in self._prepared:
            name = f"entasis_prepared_{secrets.token_hex(4)}"
            self.create(name, self._template)
            with psycopg.connect(self.dsn(name), autocommit=True) as connection:
                prepare(connection)
            self.seal(name)
            self._prepared[prepare] = name
        return self._prepared[prepare]

    def _lend(self, template: str) -> Iterator[Database]:
        name = f"entasis_test_{secrets.token_hex(4)}"
        self.create(name, template)
        try:
            yield Database(self.dsn(name), self.source)
        finally:
            self.drop(name)

    @contextmanager
    def login(self, *roles: str) -> Iterator[tuple[str, str]]:
        """Lend a login that is a member of the given roles: its name and password."""
        name, password = f"entasis_login_{secrets.token_hex(4)}", secrets.token_urlsafe(12)
        self.make_login(name, password, *roles)
        try:
            yield name, password
        finally:
            self.drop_login(name)

    def make_login(self, name: str, password: str, *roles: str) -> None:
        """Make a login that is a member of the given roles."""
        with self.admin() as connection:
            make_login(connection, name, password, roles)

    def drop_login(self, name: str) -> None:
        """Drop a login, unless it is gone already."""
        with self.admin() as connection:
            connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))

    def close(self) -> None:
        """Stop the server if it is ours; else take away what was made there."""
        if self._stack is not None:
            self._stack.close()
            return
        for name in list(self._made):
            self.drop(name)


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
