"""Starting the server of a data folder, and waiting until it can be used."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import psycopg
from psycopg import sql

from entasis_db.embedded.home import DATABASE, Home
from entasis_db.embedded.process import HOST, free_port, port_is_free, spawn
from entasis_db.embedded.server import Record, Server
from entasis_db.embedded.service_user import run_as

_START_SECONDS = 120.0  # recovery after a crash reads up to max_wal_size of WAL
_CONNECT_SECONDS = 15.0  # once the server has called itself ready
_LOG_BYTES = 10_000_000  # a larger log is set aside at the next start
_MOST_PORTS = 5

# Starts the server in the background and stays until its number stands in postmaster.pid, or it
# is dead. Standard input is the lock: it stays held to that point even when the caller is killed
# in between, so that nobody can look for the server in the moment in which it cannot be found.
# The server itself must not inherit the lock, hence its own standard input.
_LAUNCHER = """
record=$1; shift
"$@" </dev/null >&2 &
pid=$!
while kill -0 "$pid" 2>/dev/null; do
    if { read -r first <"$record"; } 2>/dev/null && [ "$first" = "$pid" ]; then exit 0; fi
    sleep 0.02
done
exit 1
"""


class Startup:
    """One attempt to bring a server up. Needs the lock of the cluster all the time."""

    def __init__(
        self,
        home: Home,
        server: Server,
        bindir: Path,
        settings: Mapping[str, str],
        lock: int,
    ):
        self._home = home
        self._server = server
        self._bindir = bindir
        self._settings = settings
        self._lock = lock
        self._deadline = time.monotonic() + _START_SECONDS
        self._ready_since: float | None = None
        self._launched_at: int | None = None  # the length of the log before the last launch
        self._moves = 0

    def run(self) -> int:
        """Start the server unless it runs, and return its port when it answers."""
        while True:
            record = self._server.record()
            if record is not None:
                if (port := self._usable_port(record)) is not None:
                    return port
            elif self._launched_at is None:
                self._launched_at = self._launch()
                continue
            else:
                self._consider_death(self._launched_at)
            if time.monotonic() > self._deadline:
                raise self._server.failure(
                    f"The server in {self._home.folder} is not ready after {_START_SECONDS:.0f} s. "
                    "If it is recovering from a crash, wait and try again.",
                    self._launched_at,
                )
            time.sleep(0.05)

    def _usable_port(self, record: Record) -> int | None:
        """Answer the port of a live server that has come up, once its database is there."""
        if record.state not in ("ready", "standby") or record.port is None:
            return None
        self._ready_since = self._ready_since or time.monotonic()
        if self._home.port() != record.port:
            self._home.write_port(record.port)
        try:
            self._ensure_database(record)
        except psycopg.OperationalError as fault:
            if time.monotonic() - self._ready_since > _CONNECT_SECONDS:
                raise self._server.failure(
                    f"The server in {self._home.folder} runs but cannot be used ({fault}). "
                    "Try again, or stop it and start it anew.",
                    self._launched_at,
                ) from None
            return None
        return record.port

    def _consider_death(self, launched_at: int) -> None:
        """Prepare the next launch after a server has died, or raise what its log says."""
        said = self._server.log_since(launched_at)
        if "shared memory block" in said:
            pass  # backends of a killed server are still on their way out
        elif not port_is_free(self._home.port()) or "could not create any TCP" in said:
            self._moves += 1
            if self._moves > _MOST_PORTS:
                raise self._server.failure("No free port could be found.", launched_at)
            self._home.write_port(free_port())
        else:
            raise self._server.failure(
                f"The server in {self._home.folder} does not start. What it says is below; the "
                f"whole log is {self._home.log}.",
                launched_at,
            )
        if time.monotonic() < self._deadline:
            self._launched_at = None

    def _launch(self) -> int:
        """Start the server in a session of its own; answer where its part of the log begins."""
        self._server.discard_stale_record()
        port = self._home.port()
        if port is None:
            port = free_port()
            self._home.write_port(port)
        log_path = self._home.log
        if log_path.exists() and log_path.stat().st_size > _LOG_BYTES:
            log_path.replace(self._home.folder / "log.1")
        settings = {
            **self._settings,
            "listen_addresses": HOST,
            "port": str(port),
            "unix_socket_directories": "",
        }
        command = ["/bin/sh", "-c", _LAUNCHER, "sh", str(self._server.record_path)]
        command += [str(self._bindir / "postgres"), "-D", str(self._home.data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        log = os.open(
            log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
        try:
            begins = os.fstat(log).st_size
            with spawn(command, run_as(), stdin=self._lock, stdout=log, stderr=log) as process:
                try:
                    process.wait(timeout=_START_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
        finally:
            os.close(log)
        return begins

    def _ensure_database(self, record: Record) -> None:
        # At every start, since the caller who made the cluster may have been killed before this,
        # and even in the middle of it: then the server is still at work on that caller's request,
        # ours waits for it, and finds the name taken.
        with self._server.connect(record) as connection:
            row = connection.execute(
                "SELECT EXISTS (SELECT FROM pg_catalog.pg_database"
                " WHERE datname OPERATOR(pg_catalog.=) %s)",
                [DATABASE],
            ).fetchone()
            if row is not None and not row[0]:
                with contextlib.suppress(
                    psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation
                ):
                    connection.execute(
                        sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE))
                    )
