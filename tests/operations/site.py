"""A server that is on call: what docs/operations/on-call.md needs of a site, played."""

import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

import psycopg
from click.testing import CliRunner
from psycopg.conninfo import make_conninfo

from drills import pages, shell
from entasis_db.cli import main
from entasis_db.embedded import Cluster, embedded_cluster
from entasis_db.embedded.process import free_port, identity
from entasis_db.embedded.service_user import run_as
from entasis_db.health import Check, health
from entasis_db.migrate import migrate
from tests.db import Connection, ensure, one
from tests.engines import REPOSITORY, make_login
from tests.make import insert_trades, trade
from tests.servers.cluster import bare_cluster

PAGE = REPOSITORY / "docs" / "operations" / "on-call.md"
SETTINGS = {"archive_mode": "on", "max_prepared_transactions": "4", "summarize_wal": "on"}
_PASSWORD = "on-call"
Doing = Callable[[], None]


def sections() -> dict[str, str]:
    """Return what stands under each heading of the page, by the heading."""
    parts = PAGE.read_text(encoding="utf-8").split("\n### ")[1:]
    return {part.partition("\n")[0]: part.partition("\n")[2].split("\n## ")[0] for part in parts}


def commands(heading: str) -> Sequence[pages.Block]:
    """Return the commands under a heading, or under the one that it sends to."""
    text = sections()[heading]
    found = pages.blocks(text)
    if not found:
        (other,) = (h for h in sections() if f"What to do: [{h}](#{h})" in text)
        return commands(other)
    return found


def run_entasis(arguments: Sequence[str], environment: Mapping[str, str], output: IO[bytes]) -> int:
    """Answer for ``entasis`` in this process, which has imported it already."""
    result = CliRunner().invoke(main, list(arguments), env=dict(environment))
    output.write(result.output.encode())
    return result.exit_code


@dataclass
class Site:
    """A primary with its database, what stands around it, and what its commands do here."""

    dsn: str
    home: Path
    cluster: Cluster | None = None
    monitor: str = ""
    trades: str = ""
    """What the exchange answers, as CSV."""
    upgrade: Doing = lambda: None
    replica_port: int = 0
    played: dict[str, float] = field(default_factory=dict)

    def connect(self, **options: Any) -> psycopg.Connection[Any]:
        """Connect as the superuser."""
        return psycopg.connect(self.dsn, **{"autocommit": True, **options})

    def over(self, dsn: str | None = None) -> dict[str, Check]:
        """Return what is not well."""
        with psycopg.connect(dsn or self.dsn, autocommit=True) as connection:
            return {c.check: c for c in health(connection) if c.severity != "ok"}

    def restart(self) -> None:
        """Stop and start the server."""
        assert self.cluster is not None
        self.cluster.stop()
        self.cluster.start()

    def replica_url(self) -> str:
        """Return where the replica is, if there is one."""
        return make_conninfo(self.dsn, port=self.replica_port or 1)

    def answer(self, arguments: Sequence[str], _: Mapping[str, str], output: IO[bytes]) -> int:
        """Answer for the functions of the page that belong to a site."""
        what, *_rest = arguments
        if what == "server":
            self.restart()
        elif what == "collector":
            with self.connect() as connection:
                trade_now(connection)
        elif what == "fetch_trades":
            output.write(self.trades.encode())
        elif what == "upgrade_server":
            self.upgrade()
        else:
            return 1  # the replica does not come back
        return 0

    def play(self, heading: str) -> None:
        """Run the commands under a heading, as they stand there, in a shell that knows the site."""
        backups = (self.home / "backups").as_uri()
        values = {
            "DATABASE_URL": f"'{self.dsn}'",
            "MONITOR_URL": f"'{self.monitor}'",
            "REPLICA_URL": f"'{self.replica_url()}'",
            "PRIMARY_CONNINFO": f"'{self.dsn}'",
            "ENTASIS_ARCHIVE_URL": (self.home / "archive").as_uri(),
            "ARCHIVE_COMMAND": "true",
            "NOTES": str(self.home),
            "server": 'site server "$@"',
            "replica_server": 'site replica_server "$@"',
            "collector": 'site collector "$@"',
            "fetch_trades": "site fetch_trades",
            "backup": f"entasis backup --to {backups}",
            "backup_check": f"entasis backup check --from {backups}",
            "upgrade_server": "site upgrade_server",
        }
        (own,) = pages.blocks(PAGE.read_text(encoding="utf-8").partition("\n## Which alert")[0])
        first = pages.Block(own.line, own.language, pages.settings(own.text, values))
        answers = {"entasis": run_entasis, "site": self.answer}
        with shell.programs(self.home, None, answers) as bin_:
            bindir = f":{self.cluster.bindir}" if self.cluster else ""
            path = f"{bin_}{bindir}:/usr/local/bin:/usr/bin:/bin"
            environment = {"PATH": path, "HOME": str(self.home), "LC_ALL": "C.UTF-8"}
            (self.home / "progress").unlink(missing_ok=True)
            done = shell.play(
                f"{PAGE.name}#{heading}",
                [first, *commands(heading)],
                self.home,
                None,
                environment,
                60,
            )
        self.played[heading] = done.seconds

    @contextmanager
    def replica(self) -> Iterator[str]:
        """Lend a replica: its superuser's connection string."""
        assert self.cluster is not None
        user, bindir = run_as(), self.cluster.bindir
        folder = self.home / "replica"
        folder.mkdir(mode=0o700)
        if user is not None:
            shutil.chown(folder, user.uid, user.gid)
        self.replica_port = free_port()

        def run(program: str, *arguments: str) -> None:
            subprocess.run(
                [bindir / program, *arguments], check=True, cwd="/", stdin=subprocess.DEVNULL,
                **identity(user),
            )  # fmt: skip

        run("pg_basebackup", "-d", self.dsn, "-D", str(folder), "-R", "-c", "fast")
        options = (
            f"-p {self.replica_port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
            " -c wal_retrieve_retry_interval=100ms -c max_prepared_transactions=4"
        )
        pg_ctl = ("pg_ctl", "-D", str(folder), "-l", str(folder / "log"), "-w")
        run(*pg_ctl, "-o", options, "start")
        try:
            yield self.replica_url()
        finally:
            run(*pg_ctl, "-m", "immediate", "stop")
            shutil.rmtree(folder)
            self.replica_port = 0


def trade_now(connection: Connection) -> None:
    """Store a trade of this moment for each market, as a collector does that is connected."""
    markets = connection.execute("SELECT DISTINCT symbol FROM entasis.ohlcv_1d").fetchall()
    now = one(connection, "SELECT now()")
    last = one(connection, "SELECT max(id) FROM entasis.market_data WHERE id < 10 ^ 9")
    insert_trades(
        connection, *(trade(last + 1, symbol=symbol, timestamp=now) for (symbol,) in markets)
    )


@contextmanager
def on_call() -> Iterator[Site]:
    """Lend a site whose database has trades, is maintained, and has a backup that was checked."""
    bindir = embedded_cluster(REPOSITORY).bindir
    with ExitStack() as stack:
        cluster = stack.enter_context(bare_cluster(bindir, quick=False, **SETTINGS))
        home = cluster.home.parent / "site"
        home.mkdir(mode=0o755)
        site = Site(cluster.dsn("entasis"), home, cluster)
        migrate(site.dsn)
        with site.connect() as connection:
            connection.execute("ALTER SYSTEM SET archive_command = 'true'")
            connection.execute("SELECT pg_reload_conf()")
            make_login(connection, "metrics", _PASSWORD, ["entasis_monitor"])
            site.monitor = make_conninfo(site.dsn, user="metrics", password=_PASSWORD)
            now = one(connection, "SELECT date_trunc('second', now())")
            times = [now - timedelta(minutes=7 * n, seconds=30) for n in range(300)]
            ensure(connection, "market_data", times[-1], now)
            insert_trades(connection, *(trade(n + 1, timestamp=t) for n, t in enumerate(times)))
            connection.execute("CALL entasis.maintain()")
            connection.execute("SELECT entasis.end_run(entasis.begin_run('backup check'), 'done')")
        yield site
