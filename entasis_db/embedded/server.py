"""The server of a data folder that is running, or has been: found, connected to, and stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psycopg

from entasis_db.embedded.home import SUPERUSER, Home
from entasis_db.embedded.process import (
    HOST,
    command_line,
    exists,
    is_postmaster,
    last_lines,
)
from entasis_db.errors import EmbeddedServerError

StopMode = Literal["smart", "fast", "immediate"]

_STOP_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Record:
    """What a server says about itself in postmaster.pid."""

    pid: int
    folder: str
    port: int | None
    state: str


class Server:
    """The server of one cluster."""

    def __init__(self, home: Home):
        self._home = home
        self.record_path = home.data / "postmaster.pid"

    # ------------------------------------------------------------------ finding it

    def record(self) -> Record | None:
        """Answer what the server says about itself, or None when no server is alive.

        The record stays behind when the server or the machine dies, and its number may since
        have gone to any other program, even to the server of another folder.
        """
        record = self._record()
        if record is None:
            return None
        command = command_line(record.pid)
        if not is_postmaster(command):
            return None
        folder = command[command.index("-D") + 1] if "-D" in command[1:-1] else None
        # one that was started by hand may say where it is in another way
        if folder is None or not Path(folder).is_absolute():
            return record
        return record if self._is_this_folder(folder, record) else None

    def _record(self) -> Record | None:
        try:
            lines = self.record_path.read_text(encoding="utf-8").splitlines()
        except (FileNotFoundError, NotADirectoryError):
            return None
        # number, folder, start time, port, socket folder, address, shared memory, state; the
        # server adds them one after the other
        lines += [""] * 8
        if not lines[0].strip().isdigit() or not lines[1]:
            return None
        port = int(lines[3]) if lines[3].strip().isdigit() else None
        return Record(int(lines[0]), lines[1], port, lines[7].strip())

    def _is_this_folder(self, folder: str, record: Record) -> bool:
        try:
            return Path(folder).samefile(self._home.data)
        except FileNotFoundError:
            # the checkout was renamed while its server ran
            return folder == record.folder
        except PermissionError:
            return False  # the server of another user, in a place closed to the caller

    def discard_stale_record(self) -> None:
        """Delete a postmaster.pid whose number has gone to another program.

        PostgreSQL takes any living process of its user for the server, and refuses to start. It
        deals with the number of a dead one itself. Backends of a killed server are safe from
        this: their shared memory is found by the data folder, not by this file.
        """
        record = self._record()
        if record is not None and exists(record.pid):
            self.record_path.unlink(missing_ok=True)

    # ------------------------------------------------------------------ connecting

    @contextlib.contextmanager
    def connect(self, record: Record) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """Connect to the server of this folder, and to no other one."""
        options: dict[str, Any] = {
            "host": HOST,
            "hostaddr": HOST,  # PGHOSTADDR in the environment would lead elsewhere
            "port": record.port,
            "user": SUPERUSER,
            "password": self._home.password(),
            "dbname": "postgres",
            "connect_timeout": 10,
            "sslmode": "disable",
            "gssencmode": "disable",
            "application_name": "entasis embedded",
        }
        if psycopg.pq.version() >= 160000:
            # The server has to prove that it knows the password, and is not shown it.
            options["require_auth"] = "scram-sha-256"
        folder = self._home.folder
        try:
            connection = psycopg.connect(**options, autocommit=True)
        except psycopg.OperationalError as fault:
            if "password authentication failed" in str(fault):
                raise EmbeddedServerError(
                    f"The server in {folder} does not accept the password in "
                    f"{folder / 'password'}. If it was changed, write the new one there."
                ) from None
            raise
        with contextlib.closing(connection):
            row = connection.execute("SHOW data_directory").fetchone()
            if row is None or not self._is_this_folder(row[0], record):
                raise EmbeddedServerError(
                    f"On port {record.port} there is another server than the one in {folder}. "
                    "Stop that one, or set DATABASE_URL."
                )
            yield connection

    # ------------------------------------------------------------------ stopping it

    def stop(self, mode: StopMode) -> bool:
        """Shut the server down and wait until it has gone; False when it was not running."""
        record = self.record()
        if record is None:
            return False
        signals = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
        with contextlib.suppress(ProcessLookupError):
            os.kill(record.pid, signals[mode])
        deadline = time.monotonic() + _STOP_SECONDS
        while is_postmaster(command_line(record.pid)):
            if time.monotonic() > deadline:
                raise self.failure(
                    f"The server in {self._home.folder} (process {record.pid}) has not gone after "
                    f"{_STOP_SECONDS:.0f} s. Close its clients, or stop it in mode 'immediate'.",
                    None,
                )
            time.sleep(0.02)
        return True

    # ------------------------------------------------------------------ its log

    def log_since(self, begins: int) -> str:
        """Answer the log from a position on, up to a million bytes."""
        try:
            with self._home.log.open("rb") as file:
                file.seek(begins)
                return file.read(1_000_000).decode(errors="replace")
        except FileNotFoundError:
            return ""

    def failure(self, message: str, begins: int | None) -> EmbeddedServerError:
        """Make an error with the end of the log from ``begins`` on, and without the password."""
        said = ""
        if begins is not None:
            said = last_lines(self.log_since(begins))
        text = message + ("\n" + said if said else "")
        with contextlib.suppress(OSError, EmbeddedServerError):
            password = self._home.password()
            if password:
                text = text.replace(password, "***")
        return EmbeddedServerError(text)
