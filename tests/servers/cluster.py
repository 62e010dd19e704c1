"""Clusters of our own, of a PostgreSQL whose programs are on this machine."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from entasis_db.embedded import Cluster, embedded_cluster
from entasis_db.errors import EmbeddedServerError
from tests.engines import REPOSITORY, Server, Source

# The data of these clusters is thrown away: nothing needs to survive a crash of the machine.
SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "max_connections": "60",
}


def found() -> list[Source]:
    """List the clusters that can be made: for each set of programs, what it is called and runs.

    A PostgreSQL in which TimescaleDB is installed belongs here too: with its engine, and with
    ``shared_preload_libraries`` among the settings of its source.
    """
    return [*_debian(), *_wheel()]


def _debian() -> Iterator[Source]:
    for bindir in Path("/usr/lib/postgresql").glob("15/bin"):
        if (bindir / "initdb").exists():
            origin = "a new cluster of Debian's PostgreSQL 15"
            yield _source("postgresql-15", "postgresql", origin, bindir)


def _wheel() -> Iterator[Source]:
    try:
        bindir = embedded_cluster(REPOSITORY).bindir
    except EmbeddedServerError:
        return
    yield _source("postgresql-18", "postgresql", "a new cluster of the embedded wheel", bindir)


def _source(name: str, engine: str, origin: str, bindir: Path, **settings: str) -> Source:
    """``settings`` are those that the engine needs of its cluster."""
    return Source(name, engine, origin, partial(_start, settings=settings), bindir)


def _start(source: Source, settings: dict[str, str]) -> Server:
    assert source.bindir is not None
    stack = ExitStack()
    cluster = stack.enter_context(bare_cluster(source.bindir, **settings))
    return Server(source, cluster.dsn("postgres"), stack=stack)


@contextmanager
def bare_cluster(bindir: Path, **settings: str) -> Iterator[Cluster]:
    """Lend a new cluster, without Entasis DB and without its roles."""
    home = Path(tempfile.mkdtemp(prefix="entasis-test-"))
    home.chmod(0o711)  # the service user of the cluster must be able to pass through
    cluster = Cluster(bindir, home / "cluster", {**SETTINGS, **settings})
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.destroy()
        shutil.rmtree(home, ignore_errors=True)
