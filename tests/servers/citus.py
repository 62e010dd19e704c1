"""Citus, whose programs are here: one node with all shards, and a coordinator with two workers."""

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from entasis_db.embedded import Cluster
from entasis_db.errors import EmbeddedServerError
from tests.engines import Database, Server, Source, make_login
from tests.servers import container
from tests.servers.cluster import bare_cluster

_SETTINGS = {
    "shared_preload_libraries": "citus",
    "max_prepared_transactions": "60",
    "max_worker_processes": "40",
    "max_locks_per_transaction": "512",
    "max_connections": "100",
    "citus.shard_count": "4",
    "citus.local_hostname": "127.0.0.1",
    "citus.node_conninfo": "sslmode=prefer",
    "citus.enable_statistics_collection": "off",
    "citus.enable_binary_protocol": "off",
    # how soon what a coordinator left prepared is ended: a minute, otherwise
    "citus.recover_2pc_interval": "1s",
    # shards move by logical replication
    "wal_level": "logical",
}

_WORKERS = {
    "any_datestyle": "a worker takes for ISO what the session writes in its own style",
    "one_session": "a node's session is not the writer's",
    "one_role": "a node has a connection for each role, which does not see what another wrote",
}
_ONE_NODE = {
    "workers": "its only node is the coordinator",
    "any_path": "a generic plan of a shard beside its session is made on the session's path",
}


def found() -> list[Source]:
    """List the clusters that can be made of what ENTASIS_TEST_PG_CONFIG names."""
    sources = []
    for program in filter(None, os.environ.get("ENTASIS_TEST_PG_CONFIG", "").split(":")):
        asked = [program, "--version", "--bindir", "--sharedir"]
        said = subprocess.run(asked, capture_output=True, text=True, check=True)
        version, bindir, sharedir = said.stdout.splitlines()
        control = Path(sharedir) / "extension" / "citus.control"
        if not control.exists():
            continue
        server = int(re.findall(r"\d+", version)[0])
        extension = re.findall(r"default_version = '(.*)'", control.read_text())[0]
        for kind, workers in (("one node", 0), ("a coordinator and two workers", 2)):
            name = "-".join(["citus", *(["workers"] if workers else []), extension, str(server)])
            origin = f"a new cluster of {kind}, of PostgreSQL {server} with Citus {extension}"
            start = partial(_start, workers=workers)
            lacks = dict(_WORKERS if workers else _ONE_NODE)
            sources.append(Source(name, "citus", origin, start, Path(bindir), _SETTINGS, lacks))
    return sources


class Node(Protocol):
    """A server of a cluster."""

    def dsn(self, database: str) -> str:
        """Return the superuser's DSN of one of its databases."""


@dataclass(frozen=True)
class GivenNode:
    """A server that is not ours."""

    address: str
    """The superuser's DSN of any of its databases."""
    inside: tuple[str, int] | None = None
    """Where other nodes find it, and it itself; None: where we do."""

    def dsn(self, database: str) -> str:
        """Return the superuser's DSN of one of its databases."""
        return make_conninfo(self.address, dbname=database)


class CitusServer(Server):
    """A coordinator and its workers, whose databases are made on all of them alike."""

    def __init__(self, source: Source, nodes: Sequence[Node], stack: ExitStack | None) -> None:
        """``nodes`` begins with the coordinator; without a stack they are not ours and go on."""
        self.nodes = nodes
        super().__init__(source, nodes[0].dsn("postgres"), stack=stack)

    @contextmanager
    def _on_all(self) -> Iterator[list[psycopg.Connection[Any]]]:
        """Lend a connection to the maintenance database of each node, which has no Citus in it."""
        with ExitStack() as stack:
            yield [
                stack.enter_context(psycopg.connect(node.dsn("postgres"), autocommit=True))
                for node in self.nodes
            ]

    def create(self, name: str, template: str = "template0") -> None:
        """Make a database, and where it is no copy, the extension in it, and the cluster of it."""
        with self._on_all() as connections:
            for connection in connections:
                connection.execute(
                    sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                        sql.Identifier(name), sql.Identifier(template)
                    )
                )
        self._made.append(name)
        if template == "template0":
            self._join(name)

    def _join(self, name: str) -> None:
        for node in self.nodes:
            with psycopg.connect(node.dsn(name), autocommit=True) as connection:
                connection.execute("CREATE EXTENSION citus")
        coordinator, *workers = [_address(node, name) for node in self.nodes]
        with psycopg.connect(self.dsn(name), autocommit=True) as connection:
            connection.execute("SELECT citus_set_coordinator_host(%s, %s)", coordinator)
            for worker in workers:
                connection.execute("SELECT citus_add_node(%s, %s)", worker)
            if not workers:
                connection.execute(
                    "SELECT citus_set_node_property(%s, %s, 'shouldhaveshards', true)", coordinator
                )

    def seal(self, name: str) -> None:
        """Let nobody connect to a database any more, on any node, so that it can be copied."""
        with self._on_all() as connections:
            for connection in connections:
                connection.execute(
                    sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(
                        sql.Identifier(name)
                    )
                )
                connection.execute(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                    " WHERE datname = %s",
                    [name],
                )

    def drop(self, name: str) -> None:
        """Drop a database on all nodes, and whoever is still connected to it."""
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        with self._on_all() as connections:
            for connection in connections:
                for attempt in range(10):
                    try:
                        connection.execute(drop)
                        break
                    except psycopg.errors.ObjectInUse:  # a worker of Citus that is about to end
                        if attempt == 9:
                            raise
        self._made.remove(name)

    def make_login(self, name: str, password: str, *roles: str) -> None:
        """Make a login on all nodes: Citus comes to the workers as the role of the session."""
        with self._on_all() as connections:
            for connection in connections:
                make_login(connection, name, password, roles)

    def drop_login(self, name: str) -> None:
        """Drop a login on all nodes, unless it is gone already."""
        with self._on_all() as connections:
            for connection in connections:
                # sessions that are about to end, with temporary tables
                connection.execute(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                    " WHERE usename = %s",
                    [name],
                )
                connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))


def _address(node: Node, database: str) -> tuple[str, int]:
    if isinstance(node, GivenNode) and node.inside:
        return node.inside
    parts = conninfo_to_dict(node.dsn(database))
    return str(parts.get("host", "127.0.0.1")), int(str(parts.get("port", 5432)))


def given(dsns: str) -> Source:
    """Return the cluster of these DSNs, the coordinator's first, with a semicolon in between."""
    nodes = [GivenNode(dsn.strip()) for dsn in dsns.split(";") if dsn.strip()]
    lacks = {"own_cluster": "its programs need not be on this machine"}
    lacks |= _ONE_NODE if len(nodes) == 1 else _WORKERS

    def lend(source: Source) -> Server:
        return CitusServer(source, nodes, None)

    return Source("citus-dsn", "citus", "the DSNs in the environment", lend, lacks=lacks)


def in_containers() -> list[Source]:
    """List the one node that ENTASIS_TEST_CITUS_IMAGE names, where Docker answers."""
    image = os.environ.get("ENTASIS_TEST_CITUS_IMAGE")
    if not image or not container.docker_answers():
        return []
    lacks = {"own_cluster": "its programs are in the container", **_ONE_NODE}
    run = partial(_start_container, image=image)
    return [Source("citus-docker", "citus", f"a container of {image}", run, lacks=lacks)]


def _start_container(source: Source, image: str) -> Server:
    stack = ExitStack()
    dsn = stack.enter_context(container.in_container(image, **_SETTINGS))
    # the image trusts whoever comes from inside
    return CitusServer(source, [GivenNode(dsn, inside=("127.0.0.1", 5432))], stack)


def _start(source: Source, workers: int) -> Server:
    assert source.bindir is not None
    stack = ExitStack()
    try:
        nodes = [
            stack.enter_context(bare_cluster(source.bindir, quick=True, **source.settings))
            for _ in range(1 + workers)
        ]
        for node in nodes:
            _trust(node)
            # nodes that join get the coordinator's roles, with their passwords
            (node.home / "password").write_text((nodes[0].home / "password").read_text())
        return CitusServer(source, nodes, stack)
    except BaseException:
        stack.close()
        raise


_TRUST = "host all all 127.0.0.1/32 trust\n"


def _trust(node: Cluster) -> None:
    """Let nodes connect to each other, and to themselves, as any role."""
    rules = node.home / "data" / "pg_hba.conf"
    rules.write_text(_TRUST + rules.read_text())
    with psycopg.connect(node.dsn("postgres"), autocommit=True) as connection:
        connection.execute("SELECT pg_reload_conf()")


def restart(node: Cluster) -> None:
    """Start a node unless it runs; a cluster takes no server for its own that asks no password."""
    with suppress(psycopg.OperationalError, EmbeddedServerError):
        psycopg.connect(node.dsn("postgres")).close()
        return
    rules = node.home / "data" / "pg_hba.conf"
    rules.write_text(rules.read_text().removeprefix(_TRUST))
    node.start()
    _trust(node)


class Nodes:
    """The nodes under a database, the coordinator first, for tests that break them."""

    def __init__(self, server: CitusServer, database: Database) -> None:
        """Take over no connection: each question has one of its own."""
        self._server = server
        self._name = str(conninfo_to_dict(database.dsn)["dbname"])

    def kill(self, node: int) -> None:
        """Stop a node as a power failure would."""
        self._ours(node).stop("immediate")

    def start(self, node: int) -> None:
        """Start a node again, which recovers."""
        restart(self._ours(node))

    def _ours(self, node: int) -> Cluster:
        ours = self._server.nodes[node]
        assert isinstance(ours, Cluster)
        return ours

    def ask(self, node: int, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask a node for rows, in its part of the database."""
        dsn = self._server.nodes[node].dsn(self._name)
        with psycopg.connect(dsn, autocommit=True) as connection:
            return connection.execute(query.encode(), values or None).fetchall()

    def give(self, node: int, setting: str, value: str) -> None:
        """Give a node's server a setting."""
        with psycopg.connect(self._server.nodes[node].dsn("postgres"), autocommit=True) as at:
            at.execute(
                sql.SQL("ALTER SYSTEM SET {} = {}").format(
                    sql.Identifier(setting), sql.Literal(value)
                )
            )
            at.execute("SELECT pg_reload_conf()")

    def backends(self, node: int) -> set[int]:
        """List the processes of a node that the coordinator's sessions talk to."""
        query = (
            "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'citus_internal%%'"
            " AND datname = %s"
        )
        return {pid for (pid,) in self.ask(node, query, self._name)}

    def prepared(self, node: int) -> int:
        """Count the prepared transactions of the database on a node."""
        query = "SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()"
        return int(self.ask(node, query)[0][0])

    def await_prepared(self, node: int) -> None:
        """Wait until a node has a prepared transaction."""
        self._await(lambda: self.prepared(node) > 0, f"node {node} has prepared nothing")

    def await_sync_wait(self) -> None:
        """Wait until a session of the coordinator has committed and awaits a standby."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        self._await(lambda: self.ask(0, query)[0][0] > 0, "nobody waits for a standby")

    @staticmethod
    def _await(come: Callable[[], bool], otherwise: str) -> None:
        for _ in range(200):
            if come():
                return
            time.sleep(0.05)
        raise AssertionError(otherwise)
