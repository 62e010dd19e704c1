"""A real PgBouncer for the tests: on loopback, in a throw-away folder, stopped by its pid."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

# docs/poolers.md says what these are for
SETTINGS = """
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
pool_mode = {mode}
default_pool_size = {size}
server_reset_query = {reset}
"""


@cache
def program() -> str | None:
    """Find PgBouncer; Debian keeps it where only root looks."""
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")


@contextmanager
def pooler(
    dsn: str,
    *,
    mode: str = "transaction",
    size: int = 1,
    reset: bool = False,
    logins: dict[str, str] | None = None,
) -> Iterator[str]:
    """Lend a connection string that leads to the same database through a PgBouncer.

    ``size`` is how many sessions it shares among the clients of a login; without ``reset``, a
    client in session mode finds what the one before has left. ``logins`` are those that it may log
    in beside that of ``dsn``, with their passwords.
    """
    found = program()
    assert found is not None
    to = {"password": "", **conninfo_to_dict(dsn)}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="entasis-pgbouncer-"))
    known = {str(to["user"]): str(to["password"]), **(logins or {})}
    (folder / "users").write_text("".join(f'"{u}" "{p}"\n' for u, p in known.items()))
    settings = folder / "pgbouncer.ini"
    settings.write_text(
        SETTINGS.format(
            host=to["host"],
            port=to["port"],
            listen_port=port,
            folder=folder,
            mode=mode,
            size=size,
            reset="DISCARD ALL" if reset else "",
        )
    )
    as_nobody = []
    if os.geteuid() == 0:  # as which it refuses to run
        folder.chmod(0o755)
        as_nobody = ["-u", "nobody"]
    process = subprocess.Popen(
        [found, "-q", *as_nobody, str(settings)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _await(port)
        yield make_conninfo(dsn, host="127.0.0.1", port=port)
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _await(port: int) -> None:
    for _ in range(500):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.01)
        else:
            return
    raise TimeoutError("PgBouncer did not start")
