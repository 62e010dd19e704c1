"""What backups take: the plan for a number of trades a day needs both."""

import shutil
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from bench import data
from bench.context import Bench
from bench.line import Sizes, Subject
from bench.loaders import Connection, in_batches
from bench.measure import LeftOut, Row, alternate, ratio, timed
from entasis_db.backups.base import restore_backup, take_backup
from entasis_db.backups.base.source import summarize
from entasis_db.errors import BackupError
from entasis_db.store import Store, open_store

TITLE = "Backups by pg_basebackup: bytes of a trade, and their time against loading"
HOW = (
    "entasis backup into a folder, compressed as it comes: of the server without trades, then with"
    " them, and an incremental one after a tenth as many more. Bytes are what the second full one"
    " has more than the first, and the incremental one, over the trades. Taking and restoring it,"
    " every checksum compared, against loading the same trades by ingest_trades()."
)
SUBJECT = Subject.RETENTION
SIZES = Sizes.ONCE


def run(bench: Bench) -> Iterator[Row]:
    """Weigh backups, and time them beside a load."""
    bench.leave_out_large()
    folder = Path(tempfile.mkdtemp(prefix="entasis-bench-backup-"))
    # when root calls, the server's own user must be able to pass through
    folder.chmod(0o711)
    try:
        yield from _in(bench, folder)
    except BackupError as error:
        raise LeftOut(f"this server cannot be backed up here: {error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _in(bench: Bench, folder: Path) -> Iterator[Row]:
    more = max(1, bench.size // 10)
    trades = list(in_batches(lambda: data.trades(bench.size + more), bench.batch)())
    stored = bench.size // bench.batch
    store = open_store(folder.as_uri() + "/store")
    with (
        bench.database(bench.templates.migrated) as name,
        bench.server.connect(name) as connection,
    ):
        summarize(connection)
        empty = _stored(bench, connection, store)
        bench.progress("loading what is backed up")
        load = bench.load(lambda: trades[:stored], stored * bench.batch)
        loading = load.through_helper(connection)
        what = f"of {bench.size:,} trades"
        full = _stored(bench, connection, store)
        yield Row(f"{what}: a full backup", (full - empty) / load.size, unit="bytes")
        late = bench.load(lambda: trades[stored:], sum(map(len, trades[stored:])))
        late.through_helper(connection)
        changed = _stored(bench, connection, store, full=False)
        yield Row(f"{late.size:,} more: an incremental one", changed / late.size, unit="bytes")

        def take() -> float:
            return timed(lambda: _stored(bench, connection, store))

        def restore() -> float:
            into = folder / "restored"
            bench.progress("restoring a backup")
            seconds = timed(lambda: restore_backup(store, into))
            shutil.rmtree(into)
            return seconds

        samples = alternate({"take": take, "restore": restore}, bench.effort.rounds)
    samples["load"] = [loading] * bench.effort.rounds
    yield ratio(f"{what}: taking a full backup", samples, "load", "take")
    yield ratio(f"{what}: restoring it", samples, "load", "restore")


def _stored(bench: Bench, connection: Connection, store: Store, *, full: bool = True) -> int:
    bench.progress(f"taking {'a full' if full else 'an incremental'} backup")
    taken = take_backup(connection, store, full=full, full_after=timedelta(days=1))
    return taken.backup.stored
