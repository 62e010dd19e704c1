"""A real PgBouncer for the tests: on loopback, in a throw-away folder, stopped by its pid."""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.engines import REPOSITORY

FILE = REPOSITORY / "pooling" / "pgbouncer.ini"
"""What is shipped, and what the tests run with."""
_SETTING = re.compile(r"^(\w+) = .*$", re.MULTILINE)


@cache
def haproxy_program() -> str | None:
    """Find HAProxy, which Debian keeps there too."""
    return shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")


@cache
def program() -> str | None:
    """Find PgBouncer; Debian keeps it where only root looks."""
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")


def configuration(**values: str) -> str:
    """Return the file with other values for some of its settings; each must be there."""

    def put_in(found: re.Match[str]) -> str:
        return f"{found[1]} = {left.pop(found[1])}" if found[1] in left else found[0]

    left = dict(values)
    text = _SETTING.sub(put_in, FILE.read_text(encoding="utf-8"))
    assert not left, f"{FILE.name} does not set {', '.join(left)}"
    return text


def _settings(folder: Path, port: int, to: dict[str, Any], size: int | None, reset: bool) -> str:
    values = {
        "listen_port": str(port),
        "unix_socket_dir": "",
        "auth_file": str(folder / "users"),
        "logfile": "",
        "pidfile": "",
    }
    own_size = ""
    if size is not None:
        values |= {"default_pool_size": str(size), "reserve_pool_size": "0"}
        own_size = f"pool_size={size}"
    if not reset:
        values["server_reset_query"] = ""
    text = configuration(**values).replace(
        "host=127.0.0.1 port=5432", f"host={to['host']} port={to['port']}"
    )
    name = str(to["dbname"])
    text = re.sub(r"^entasis(_session)? =", rf"{name}\1 =", text, flags=re.MULTILINE)
    text = text.replace("dbname=entasis", f"dbname={name}")
    if own_size:
        text = re.sub(r"pool_size=\d+", own_size, text)
    return text


@contextmanager
def pooler(
    dsn: str,
    *,
    mode: str = "transaction",
    size: int | None = 1,
    reset: bool = False,
    logins: dict[str, str] | None = None,
) -> Iterator[str]:
    """Lend a connection string that leads to the same database through a PgBouncer.

    It runs with the file that is shipped, in which ``mode`` "session" is a database of another
    name. ``size`` is how many sessions it shares among the clients of a login, None: as many as
    the file says; without ``reset``, a client in session mode finds what the one before has left.
    ``logins`` are those that it may log in beside that of ``dsn``, with their passwords.
    """
    found = program()
    assert found is not None
    to = conninfo_to_dict(dsn)
    with psycopg.connect(dsn) as connection:  # libpq knows where its password is
        known = {connection.info.user: connection.info.password, **(logins or {})}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="entasis-pgbouncer-"))
    (folder / "users").write_text("".join(f'"{u}" "{p}"\n' for u, p in known.items()))
    settings = folder / "pgbouncer.ini"
    settings.write_text(_settings(folder, port, to, size, reset))
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
        offered = str(to["dbname"]) + ("_session" if mode == "session" else "")
        yield make_conninfo(
            dsn, host="127.0.0.1", port=port, dbname=offered, password=known[str(to["user"])]
        )
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
