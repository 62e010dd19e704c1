"""A real Redis or Valkey for the tests: on loopback, in a throw-away folder, stopped by its pid."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import redis


@cache
def program() -> str | None:
    """Find a server: Valkey or Redis on the PATH."""
    return shutil.which("valkey-server") or shutil.which("redis-server")


@dataclass
class RedisServer:
    """One server that can be killed, frozen and filled."""

    folder: Path
    port: int
    settings: list[str] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self) -> redis.Redis:
        """Connect to it."""
        return redis.Redis(port=self.port)

    def start(self) -> None:
        """Start it, with what it saved."""
        found = program()
        assert found is not None
        self.process = subprocess.Popen(
            [
                *(found, "--port", str(self.port), "--bind", "127.0.0.1"),
                *("--dir", str(self.folder), "--appendonly", "no", "--save", ""),
                *self.settings,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        with self.client() as client:
            for _ in range(500):
                with suppress(redis.ConnectionError):
                    if client.ping():
                        return
                time.sleep(0.01)
        raise AssertionError("the Redis server did not start")

    def kill(self) -> None:
        """End it at once."""
        if self.process is not None:
            self.signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            self.process = None

    def signal(self, number: signal.Signals) -> None:
        """Freeze it with SIGSTOP, let it go on with SIGCONT."""
        assert self.process is not None
        os.kill(self.process.pid, number)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


@contextmanager
def redis_server(*settings: str) -> Iterator[RedisServer]:
    """Lend a running server."""
    folder = Path(tempfile.mkdtemp(prefix="entasis-redis-"))
    server = RedisServer(folder, _free_port(), list(settings))
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)
