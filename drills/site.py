"""The place where drills are played: a server with a history, backups and clients that write.

It is made once; every scenario begins from a copy of it.
"""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from drills import pages
from drills.ledger import Ledger, Told, key_of
from drills.rig import Rig, Server, rig
from drills.writer import Writer, live, write
from entasis_db.archive import archive, open_store
from entasis_db.maintenance import maintain
from entasis_db.migrate import migrate
from entasis_db.model import Trade
from entasis_db.readers import Rejected, read_trades
from tests.engines import REPOSITORY, SAMPLES
from tests.oracle import TradeKey

ARCHIVE_TIMEOUT = 2.0
"""The archive_timeout of a drill, in seconds: it does not wait for the 60 of backup/pgbackrest."""

_REAL = SAMPLES / "trades_binance_2024-08-08.csv.gz"
_EXCERPT = REPOSITORY / "tests" / "data" / "trades_binance_sample.csv.gz"
_BATCH = 1000
_SEGMENT = 16 * 2**20  # bytes
LAST_MONTH_IDS = 10**11
"""What is added to the ids of real trades to be those of last month: ids ascend with time."""


@dataclass(frozen=True)
class Size:
    """How much a drill writes."""

    history: int = 1000
    """Trades of August 2024, which are archived and dropped."""
    last_month: int = 1500
    """Trades of the month before this one."""
    written: int = 200
    """Trades that clients write before the disaster, at least."""
    seconds: float = 0
    """How long they write before it, at least."""


SHORT = Size()


@dataclass
class Site:
    """A rig with its clients, as it is while a scenario is played."""

    rig: Rig
    real: Sequence[Trade]
    source: str
    """Which trades these are."""
    size: Size
    ledger: Ledger = field(default_factory=Ledger)
    archived: dict[TradeKey, Told] = field(default_factory=dict)
    """Trades that were dropped with an archive."""
    before: Ledger = field(default_factory=Ledger)
    """What the copy holds that every scenario begins from."""
    server_version: str = ""
    database_bytes: int = 0
    writer: Writer | None = None
    _next_id: int = 10**12

    @property
    def primary(self) -> Server:
        """The server that a disaster befalls."""
        return self.rig.server("primary")

    @property
    def side(self) -> Server:
        """The place of a copy that is made to take rows from."""
        return self.rig.server("side")

    @property
    def replica(self) -> Server:
        """The place of a replica."""
        return self.rig.server("replica")

    @property
    def archive(self) -> Path:
        """The folder that is the archive of Parquet."""
        return self.rig.home / "archive"

    @property
    def wal_disk(self) -> Path:
        """The place of a disk for the WAL alone."""
        return self.rig.home / "wal"

    @property
    def month(self) -> datetime:
        """The beginning of the month before this one, whose trades are neither new nor archived."""
        now = datetime.now(UTC)
        return (datetime(now.year, now.month, 1, tzinfo=UTC) - timedelta(days=1)).replace(day=1)

    def begin_writing(self, url: str | None = None) -> Writer:
        """Let a client write, from now on."""
        self._next_id += 10**8
        self.writer = Writer(url or self.primary.dsn(), self.ledger, live(self.real, self._next_id))
        self.writer.start()
        return self.writer

    def end_writing(self) -> None:
        """Stop the client."""
        if self.writer is not None:
            writer, self.writer = self.writer, None
            writer.stop()

    def safe_lsn(self) -> int:
        """Return where the WAL ends that has reached both repositories, in bytes."""
        assert self.rig.s3 is not None
        newest = min(
            max(path.name[:24] for path in folder.glob("archive/entasis/*/*/*-*"))
            for folder in (self.rig.repository, self.rig.s3.bucket / "entasis")
        )
        log, segment = int(newest[8:16], 16), int(newest[16:24], 16)
        return (log << 32) + (segment + 1) * _SEGMENT

    def reset(self) -> None:
        """Put everything back to where it was when the site was made, and start the server."""
        self.halt()
        for path in self._kept():
            shutil.rmtree(path, ignore_errors=True)
            _copy(self._copy_of(path), path)
        for gone in (self.side.data, self.replica.data, self.wal_disk):
            shutil.rmtree(gone, ignore_errors=True)
        for server in (self.side, self.replica, self.primary):
            server.log.unlink(missing_ok=True)
        for emptied in ("spool", "lock"):
            for path in (self.rig.home / emptied).iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        assert self.rig.s3 is not None
        self.rig.s3.rclone.start()
        self.ledger = self.before.copy()
        self.primary.start()

    def halt(self) -> None:
        """End the client and every server."""
        with suppress(Exception):
            self.end_writing()
        for server in (self.side, self.replica, self.primary):
            server.kill()
        self.rig.end_background()
        if self.rig.s3 is not None:
            self.rig.s3.rclone.stop()

    def keep(self) -> None:
        """Keep a copy of everything as it is now, for scenarios to begin from."""
        self.primary.stop()
        assert self.rig.s3 is not None
        self.rig.s3.rclone.stop()
        for path in self._kept():
            _copy(path, self._copy_of(path))
        self.before = self.ledger.copy()

    def _kept(self) -> list[Path]:
        assert self.rig.s3 is not None
        return [self.primary.data, self.rig.repository, self.rig.s3.rclone.folder, self.archive]

    def _copy_of(self, path: Path) -> Path:
        return self.rig.home / "copies" / path.name

    def settings(self) -> str:
        """Return the recovery.env of docs/recovery/README.md, with the values of this site."""
        (block,) = pages.blocks((pages.FOLDER / "README.md").read_text(encoding="utf-8"))
        promoted = f"PGBACKREST_PG1_PATH={self.replica.data} "
        return pages.settings(
            block.text,
            {
                "PATH": '"$PATH"',
                "STANZA": "entasis",
                "PGDATA": str(self.primary.data),
                "DATABASE_URL": f"'{self.primary.dsn()}'",
                "WAL_DISK": str(self.wal_disk),
                "SIDE_PGDATA": str(self.side.data),
                "SIDE_URL": f"'{self.side.dsn()}'",
                "REPLICA_PGDATA": str(self.replica.data),
                "REPLICA_URL": f"'{self.replica.dsn()}'",
                "ENTASIS_ARCHIVE_URL": self.archive.as_uri(),
                "server": self._controlled(self.primary),
                "side_server": "PGBACKREST_ARCHIVE_ASYNC=n " + self._controlled(self.side),
                "replica_server": promoted + self._controlled(self.replica),
            },
        )

    def _controlled(self, server: Server) -> str:
        """Return the command that starts and stops a server."""
        options = (
            f"-c port={server.port} -c listen_addresses=127.0.0.1"
            f" -c unix_socket_directories={self.rig.sockets}"
        )
        return (
            f'pg_ctl --pgdata "{server.data}" --silent --wait --log "{server.log}"'
            f' --options "{options}" "$@"'
        )


def _copy(path: Path, to: Path) -> None:
    to.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    subprocess.run(["cp", "--archive", "--reflink=auto", str(path), str(to)], check=True)


@contextmanager
def site(size: Size = SHORT, bindir: Path | None = None) -> Iterator[Site]:
    """Lend a site: a migrated server with a history, which has been backed up while it was written.

    ``bindir`` is the folder of the server's programs, by default that of ``drills.rig.programs()``.
    """
    with ExitStack() as stack:
        made = stack.enter_context(rig(bindir=bindir))
        file = _REAL if _REAL.exists() else _EXCERPT
        most = max(size.history, size.last_month)
        rows = [row.trade for row in read_trades(file) if not isinstance(row, Rejected)]
        # all of its minutes and markets, with as many trades as are wanted
        real = rows[:: max(1, len(rows) // most)][:most]
        lent = Site(made, real, f"trades of Binance of 2024-08-08, from {file.name}", size)
        stack.callback(lent.halt)
        lent.archive.mkdir(mode=0o700)
        _build(lent)
        lent.keep()
        yield lent


def _build(lent: Site) -> None:
    primary = lent.primary
    primary.append({"archive_timeout": f"{ARCHIVE_TIMEOUT:.0f}s"})
    with primary.connect() as connection:
        connection.execute("SELECT pg_reload_conf()")
    migrate(primary.dsn())
    with primary.connect() as connection:
        # candles of every time stay, so that all of them can be compared
        connection.execute(
            "UPDATE entasis.keep_periods SET keep = NULL WHERE derived_from = 'market_data'"
        )
        history = lent.real[: lent.size.history]
        shift = lent.month + timedelta(days=14) - history[0].timestamp
        last_month = [
            trade._replace(id=trade.id + LAST_MONTH_IDS, timestamp=trade.timestamp + shift)
            for trade in lent.real[: lent.size.last_month]
        ]
        _write_all(connection, lent.ledger, history)
        _write_all(connection, lent.ledger, last_month)
    writer = lent.begin_writing()
    primary.pgbackrest("--repo=1", "--type=full", "backup")
    primary.pgbackrest("--repo=2", "--type=full", "backup")
    with primary.connect() as connection:
        archive(connection, open_store(lent.archive.as_uri()))
        maintain(connection)
    lent.archived = {key_of(t): (t.price, t.volume, t.side) for t in history}
    primary.pgbackrest("--repo=1", "--type=incr", "backup")
    # in no backup, but in the WAL that is archived when the server stops
    writer.await_written(lent.size.written, datetime.now(UTC))
    lent.end_writing()
    with primary.connect() as connection:
        (lent.server_version, lent.database_bytes) = connection.execute(
            "SELECT 'PostgreSQL ' || split_part(current_setting('server_version'), ' ', 1),"
            " pg_database_size(current_database())"
        ).fetchone() or ("", 0)


def _write_all(
    connection: psycopg.Connection[Any], ledger: Ledger, trades: Sequence[Trade]
) -> None:
    for start in range(0, len(trades), _BATCH):
        write(connection, ledger, trades[start : start + _BATCH])
