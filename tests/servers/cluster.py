"""Clusters of our own, of a PostgreSQL whose programs are on this machine.

Looked for are Debian's PostgreSQL 15, the wheel's 18, and TimescaleDB in any PostgreSQL that is in
Debian's folders or that ENTASIS_TEST_PG_CONFIG names (pg_config; several with a colon between).
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from entasis_db.embedded import Cluster, embedded_cluster
from entasis_db.engine import check_pair
from entasis_db.errors import EmbeddedServerError, MigrationError
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
_TIMESCALEDB = {
    "shared_preload_libraries": "timescaledb",
    "timescaledb.telemetry_level": "off",
    # a scheduler a database, and what its jobs need
    "timescaledb.max_background_workers": "24",
    "max_worker_processes": "40",
}
# a memory file system: databases are made and dropped by the thousand
_MEMORY = Path("/dev/shm")
_ENOUGH = 6 * 2**30


def found() -> list[Source]:
    """List the clusters that can be made: for each set of programs, what it is called and runs."""
    return [*_debian(), *_wheel(), *_timescaledb()]


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


def _timescaledb() -> Iterator[Source]:
    given = os.environ.get("ENTASIS_TEST_PG_CONFIG", "").split(":")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_config"))
    for program in [*filter(None, given), *debian]:
        asked = [str(program), "--version", "--bindir", "--sharedir"]
        said = subprocess.run(asked, capture_output=True, text=True, check=True)
        version, bindir, sharedir = said.stdout.splitlines()
        server = int(re.findall(r"\d+", version)[0])
        control = Path(sharedir) / "extension" / "timescaledb.control"
        if not control.exists() or not (Path(bindir) / "initdb").exists():
            continue
        extension = re.findall(r"default_version = '(.*)'", control.read_text())[0]
        try:
            check_pair(server, extension)
        except MigrationError:
            continue
        origin = f"a new cluster of PostgreSQL {server} with TimescaleDB {extension}"
        name = f"timescaledb-{extension}-{server}"
        yield _source(name, "timescaledb", origin, Path(bindir), **_TIMESCALEDB)


def _source(name: str, engine: str, origin: str, bindir: Path, **settings: str) -> Source:
    return Source(name, engine, origin, _start, bindir, settings)


def _start(source: Source) -> Server:
    assert source.bindir is not None
    stack = ExitStack()
    cluster = stack.enter_context(bare_cluster(source.bindir, **source.settings))
    return Server(source, cluster.dsn("postgres"), stack=stack)


@contextmanager
def bare_cluster(bindir: Path, *, quick: bool = True, **settings: str) -> Iterator[Cluster]:
    """Lend a new cluster, without Entasis DB and without its roles.

    ``quick``: with settings that lose data in a crash, and that hold whatever its clients set.
    """
    in_memory = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _ENOUGH
    home = Path(tempfile.mkdtemp(prefix="entasis-test-", dir=_MEMORY if in_memory else None))
    home.chmod(0o711)  # the service user of the cluster must be able to pass through
    cluster = Cluster(bindir, home / "cluster", {**(SETTINGS if quick else {}), **settings})
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.destroy()
        shutil.rmtree(home, ignore_errors=True)
