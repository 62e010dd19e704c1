"""The HAProxy that is shipped leads writes to the primary and reads to replicas, always."""

import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from tests.engines import REPOSITORY
from tests.poolers import haproxy_program
from tests.replicas.rig import Servers, until

pytestmark = [pytest.mark.own_cluster, pytest.mark.standby, pytest.mark.newest_server]

FILE = REPOSITORY / "pooling" / "haproxy.cfg"


def free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@contextmanager
def haproxy(trio: Servers, folder: Path) -> Iterator[tuple[str, str]]:
    """Lend a URL for writes and one for reads."""
    writes, reads = free(), free()
    text = FILE.read_text(encoding="utf-8").replace(":5000", f":{writes}")
    text = text.replace(":5001", f":{reads}")
    # a test does not wait for seconds
    text = text.replace("inter 1s fastinter 250ms", "inter 200ms fastinter 100ms")
    text = re.sub(
        r"server (\w) [\d.]+:5432", lambda m: f"server {m[1]} 127.0.0.1:{trio[m[1]].port}", text
    )
    (folder / "haproxy.cfg").write_text(text)
    found = haproxy_program()
    assert found is not None
    process = subprocess.Popen([found, "-db", "-q", "-f", str(folder / "haproxy.cfg")])
    try:
        url = trio.url("a")
        yield tuple(url.replace(str(trio["a"].port), str(port)) for port in (writes, reads))  # type: ignore[misc]
    finally:
        process.kill()
        process.wait()


def led_to(trio: Servers, url: str) -> str | None:
    """The server that a new connection leads to."""
    with suppress(psycopg.OperationalError), psycopg.connect(url) as connection:
        row = connection.execute("SELECT inet_server_port()").fetchone()
        assert row is not None
        return next(name for name in trio.names if trio[name].port == row[0])
    return None


@pytest.mark.usefixtures("needs_haproxy")
def test_haproxy_knows_the_primary_from_replicas(trio: Servers, tmp_path: Path) -> None:
    trio.do(trio.primary, "CREATE ROLE haproxy_check LOGIN")
    for name in trio.names:
        hba = trio[name].data / "pg_hba.conf"
        line = "host postgres haproxy_check 127.0.0.1/32 trust\n"
        hba.write_text(line + hba.read_text())
        trio.do(name, "SELECT pg_reload_conf()")
    trio.caught_up()
    old, (new, other) = trio.primary, trio.replicas
    with haproxy(trio, tmp_path) as (writes, reads):
        until(lambda: led_to(trio, writes) == old)
        until(lambda: {led_to(trio, reads) for _ in range(4)} == {new, other})
        assert {led_to(trio, writes) for _ in range(6)} == {old}
        trio[old].kill()
        trio.promote(new)
        until(lambda: led_to(trio, writes) == new)
        until(lambda: {led_to(trio, reads) for _ in range(4)} == {other})
        trio[other].kill()
        until(lambda: led_to(trio, reads) == new)
