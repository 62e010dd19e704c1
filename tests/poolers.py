"""A real PgBouncer for the tests: on loopback, in a throw-away folder, stopped by its pid."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo


def program() -> str | None:
    """Find PgBouncer; Debian keeps it where only root looks."""
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")


@contextmanager
def pooled(dsn: str, mode: str = "transaction", size: int = 1) -> Iterator[str]:
    """Lend a connection string that leads to the same database through a pooler."""
    found = program()
    if found is None:
        pytest.skip("pgbouncer is not installed")
    to = {"password": "", **conninfo_to_dict(dsn)}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="entasis-pgbouncer-"))
    settings = folder / "pgbouncer.ini"
    settings.write_text(
        "[databases]\n"
        f"* = host={to['host']} port={to['port']} user={to['user']} password='{to['password']}'\n"
        f"[pgbouncer]\nlisten_addr=127.0.0.1\nlisten_port={port}\nauth_type=any\n"
        f"pool_mode={mode}\ndefault_pool_size={size}\nunix_socket_dir=\n"
    )
    as_nobody = []
    if os.geteuid() == 0:
        folder.chmod(0o755)
        as_nobody = ["-u", "nobody"]
    process = subprocess.Popen(
        [found, "-q", *as_nobody, str(settings)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.01)
        yield make_conninfo(dsn, host="127.0.0.1", port=port)
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)
