"""A PostgreSQL server of a rig: the first one, and those that are restored from its backups."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

if TYPE_CHECKING:
    from drills.rig.rig import Rig


@dataclass(frozen=True)
class Server:
    """A data folder with its port; it runs between start() and stop() or kill()."""

    rig: Rig
    name: str
    data: Path
    port: int

    def initialise(self, settings: Mapping[str, str]) -> None:
        """Make the data folder, with checksums of pages."""
        self.rig.run(
            *("initdb", f"--pgdata={self.data}", f"--username={self.rig.superuser}"),
            *("--auth-local=trust", "--auth-host=scram-sha-256", "--data-checksums", "--no-sync"),
            *("--encoding=UTF8", "--locale=C", f"--pwfile={self.rig.password_file}"),
            *("--no-instructions",),
        )
        self.append(settings)

    def append(self, settings: Mapping[str, str] | str) -> None:
        """Add lines to postgresql.conf."""
        if not isinstance(settings, str):
            settings = "".join(f"{name} = {value}\n" for name, value in settings.items())
        with (self.data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(settings)

    def start(self, *, wait: bool = True) -> None:
        """Start it. One that recovers answers before it is where it shall be: see promoted()."""
        options = (
            f"-c port={self.port} -c listen_addresses=127.0.0.1"
            f" -c unix_socket_directories={self.rig.sockets}"
        )
        done = self.rig.run(
            *("pg_ctl", f"--pgdata={self.data}", f"--log={self.log}", "--silent"),
            *("--wait" if wait else "--no-wait", "--timeout=120", f"--options={options}", "start"),
            check=False,
            environment=self.environment(),
        )
        if done.returncode != 0:
            raise RuntimeError(f"{self.name} did not start: {self.said()[-3000:]}")

    def promoted(self, seconds: float = 60) -> None:
        """Wait until recovery has ended; TimeoutError with the log if it does not."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with suppress(psycopg.OperationalError), self.connect("postgres") as connection:
                if connection.execute("SELECT NOT pg_is_in_recovery()").fetchone() == (True,):
                    return
            if self.pid() is None:
                break
            time.sleep(0.05)
        raise TimeoutError(f"recovery did not end: {self.said()[-2000:]}")

    def archived(self, seconds: float = 60) -> None:
        """Wait until all that was written up to now is in the repositories."""
        with self.connect("postgres") as connection:
            ((segment,),) = connection.execute(
                "SELECT pg_walfile_name(pg_switch_wal() - 1)"
            ).fetchall()
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                ((last,),) = connection.execute(
                    "SELECT last_archived_wal FROM pg_stat_archiver"
                ).fetchall()
                if last is not None and last[:24] >= segment:
                    return
                time.sleep(0.05)
        raise TimeoutError(f"{segment} was not archived: {self.said()[-2000:]}")

    def stop(self, mode: str = "fast") -> None:
        """Shut it down."""
        if self.pid() is not None:
            self.rig.run(
                *("pg_ctl", f"--pgdata={self.data}", "--silent", "--wait"), f"--mode={mode}", "stop"
            )

    def kill(self) -> None:
        """End every process of it at once, as a power cut does."""
        pid = self.pid()
        if pid is None:
            return
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        os.kill(pid, signal.SIGKILL)
        for one in [pid, *map(int, children)]:
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
            while Path(f"/proc/{one}").exists() and not is_zombie(one):
                time.sleep(0.01)
        # nobody may have reaped it, and a server does not start beside what looks like another
        for left in [self.data / "postmaster.pid", *self.rig.sockets.glob(f"*.{self.port}*")]:
            left.unlink(missing_ok=True)

    def pid(self) -> int | None:
        """Return the number of its first process, if it runs."""
        with suppress(FileNotFoundError, IndexError, ValueError):
            pid = int((self.data / "postmaster.pid").read_text(encoding="utf-8").split("\n")[0])
            if Path(f"/proc/{pid}").exists() and not is_zombie(pid):
                return pid
        return None

    @property
    def log(self) -> Path:
        """Its log."""
        return self.rig.logs / f"{self.name}.log"

    def said(self) -> str:
        """Return its log."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def dsn(self, database: str = "entasis") -> str:
        """Return the connection string of its superuser, with the password in it."""
        return f"postgresql://{self.rig.superuser}:{self.rig.password}@127.0.0.1:{self.port}/{database}"

    @contextmanager
    def connect(self, database: str = "entasis") -> Iterator[psycopg.Connection[Any]]:
        """Connect as its superuser, in autocommit mode."""
        with psycopg.connect(self.dsn(database), autocommit=True) as connection:
            yield connection

    def environment(self) -> dict[str, str]:
        """Return what makes the commands of docs/recovery mean this server."""
        return {
            **self.rig.environment,
            "PGDATA": str(self.data),
            "PGPORT": str(self.port),
            "PGBACKREST_PG1_PATH": str(self.data),
            "PGBACKREST_PG1_PORT": str(self.port),
            **self._own_queue(),
            "DATABASE_URL": self.dsn(),
        }

    def _own_queue(self) -> dict[str, str]:
        """Keep a second server's WAL apart.

        With one spool-path and lock-path, its archive-get keeps the primary's archive-push out.
        """
        if self.name == "primary":
            return {}
        return {
            "PGBACKREST_SPOOL_PATH": str(self.rig.home / f"{self.name}-spool"),
            "PGBACKREST_LOCK_PATH": str(self.rig.home / f"{self.name}-lock"),
        }

    def pgbackrest(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run pgBackRest for this server's data."""
        return self.rig.run("pgbackrest", *arguments, check=check, environment=self.environment())

    def remove(self) -> None:
        """Stop it and delete its data, as a lost disk does."""
        self.kill()
        self.rig.run("rm", "-rf", str(self.data))


def is_zombie(pid: int) -> bool:
    """Say whether a process has ended, or is gone."""
    with suppress(FileNotFoundError, ProcessLookupError):
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
        return re.sub(r".*\) ", "", state, flags=re.DOTALL).startswith("Z")
    return True
