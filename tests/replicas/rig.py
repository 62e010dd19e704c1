"""A primary with replicas that stream from it, of real programs; stopped by their pids."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from drills.rig.rig import Rig
from drills.rig.server import Server
from entasis_db.embedded.service_user import run_as
from entasis_db.migrate import migrate
from tests.db import one
from tests.engines import Source
from tests.proxy import Proxy

SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_connections": "60",
    "wal_level": "logical",
    "wal_keep_size": "1GB",
    "max_wal_senders": "10",
    "hot_standby": "on",
    # a conflict with recovery comes at once
    "max_standby_streaming_delay": "0",
    "wal_receiver_status_interval": "1s",
    "wal_retrieve_retry_interval": "100ms",
    "checkpoint_timeout": "30s",
}
_MEMORY = Path("/dev/shm")


def _quoted(settings: Mapping[str, str]) -> dict[str, str]:
    return {name: f"'{value}'" for name, value in settings.items()}


def until(true: Callable[[], Any], patience: float = 20) -> Any:
    """Wait until something is so, and return it."""
    deadline = time.monotonic() + patience
    while not (found := true()):
        assert time.monotonic() < deadline, "it did not come to be so"
        time.sleep(0.01)
    return found


@dataclass
class Servers:
    """Three servers, of which one is the primary; each replica follows through a proxy."""

    rig: Rig
    names: tuple[str, ...] = ("a", "b", "c")
    primary: str = "a"
    proxies: dict[str, Proxy] = field(default_factory=dict)
    diverged: bool = False
    """Whether a replica may have WAL that the primary has not."""

    def __getitem__(self, name: str) -> Server:
        return self.rig.server(name)

    @property
    def replicas(self) -> list[str]:
        """Names of those that are to follow."""
        return [name for name in self.names if name != self.primary]

    def url(self, *names: str) -> str:
        """Return a connection string of these servers, or of all."""
        hosts = ",".join(f"127.0.0.1:{self[name].port}" for name in names or self.names)
        return f"postgresql://{self.rig.superuser}:{self.rig.password}@{hosts}/entasis"

    def name_of(self, host: str) -> str:
        """Return which server a name of ServerMetrics means."""
        return next(name for name in self.names if host.endswith(f":{self[name].port}"))

    def connect(self, name: str) -> psycopg.Connection[Any]:
        """Connect to one."""
        return psycopg.connect(self[name].dsn(), autocommit=True)

    def do(self, name: str, query: str) -> Any:
        """Run a statement on one; the first column of the first row, if there is one."""
        with self.connect(name) as connection:
            cursor = connection.execute(query.encode())
            row = cursor.fetchone() if cursor.description else None
            return row and row[0]

    def set(self, name: str, setting: str, value: str) -> None:
        """Change a setting of one."""
        with self.connect(name) as connection:
            connection.execute(
                sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(setting), value)
            )
            connection.execute("SELECT pg_reload_conf()")
            until(
                lambda: (
                    one(connection, "SELECT current_setting(%s)", setting).startswith(value)
                    or value == ""
                )
            )

    def follow(self, name: str) -> None:
        """Make a replica of the primary, anew."""
        server, source = self[name], self[self.primary]
        server.remove()
        if name in self.proxies:
            self.proxies.pop(name).close()
        proxy = self.proxies[name] = Proxy("127.0.0.1", source.port)
        environment = {
            **server.environment(),
            "PGPASSWORD": self.rig.password,
        }
        self.rig.run(
            *("pg_basebackup", f"--pgdata={server.data}", "--checkpoint=fast", "--no-sync"),
            *("--wal-method=stream", "--no-manifest"),
            f"--dbname=host=127.0.0.1 port={source.port} user={self.rig.superuser}",
            environment=environment,
        )
        (server.data / "postgresql.auto.conf").write_text("")
        server.append(
            {
                "primary_conninfo": f"'host=127.0.0.1 port={proxy.port} user={self.rig.superuser}"
                f" password={self.rig.password} application_name={name}'",
            }
        )
        self.rig.write(server.data / "standby.signal", "")
        server.start()

    def caught_up(self, *names: str) -> None:
        """Wait until replicas have replayed all."""
        place = self.do(self.primary, "SELECT pg_current_wal_flush_lsn()")
        for name in names or self.replicas:
            until(
                lambda name=name: self.do(
                    name, f"SELECT pg_last_wal_replay_lsn() >= '{place}'::pg_lsn"
                )
            )

    def cut_off(self, name: str) -> None:
        """Break a replica's way to its primary."""
        self.proxies[name].refusing = True
        self.proxies[name].cut()

    def mend(self, name: str) -> None:
        """Give it back."""
        self.proxies[name].refusing = False

    def promote(self, name: str) -> None:
        """Make a replica the primary."""
        self.do(name, "SELECT pg_promote()")
        self.primary = name
        self.diverged = True

    def signal(self, name: str, number: int) -> None:
        """Send a signal to every process of one."""
        pid = self[name].pid()
        assert pid is not None
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        for one_of_them in (pid, *map(int, children)):
            os.kill(one_of_them, number)

    def resume(self) -> None:
        """Take back what holds replicas up."""
        for name in self.replicas:
            if name in self.proxies:
                self.mend(name)
            with suppress(psycopg.Error):
                if self.do(name, "SELECT pg_is_wal_replay_paused()"):
                    self.do(name, "SELECT pg_wal_replay_resume()")
                self.set(name, "recovery_min_apply_delay", "0")

    def heal(self) -> None:
        """Have everybody follow the primary again, as after nothing."""
        for name in self.replicas:
            with suppress(psycopg.Error, AssertionError):
                if (
                    not self.diverged
                    and self[name].pid()
                    and self.do(name, "SELECT status FROM pg_stat_wal_receiver")
                ):
                    continue
            self.follow(name)
        self.diverged = False
        self.caught_up()


@contextmanager
def servers(source: Source) -> Iterator[Servers]:
    """Lend a primary with a migrated database, and two replicas."""
    home = Path(tempfile.mkdtemp(prefix="entasis-replicas-", dir=_MEMORY))
    home.chmod(0o711)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        assert source.bindir is not None
        made = Servers(Rig(home, source.bindir, run_as(), None))
        made.rig.own(home)
        for path in ("run", "log"):
            made.rig.folder(home / path)
        made.rig.write(made.rig.password_file, made.rig.password)

        def stop() -> None:
            for name in made.names:
                made[name].kill()
            for proxy in made.proxies.values():
                proxy.close()

        stack.callback(stop)
        primary = made["a"]
        primary.initialise({**SETTINGS, **_quoted(source.settings)})
        primary.start()
        with primary.connect("postgres") as connection:
            connection.execute("CREATE DATABASE entasis")
        migrate(primary.dsn(), engine=source.engine)
        for name in made.replicas:
            made.follow(name)
        made.caught_up()
        yield made
