"""A server of trades, backed up while they are written, restored from each backup, and compared."""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from entasis_db import ingest
from entasis_db.backups.base import (
    RestoredBackup,
    check_place,
    read_place,
    restore_backup,
    take_backup,
)
from entasis_db.backups.base.source import summarize
from entasis_db.embedded import Cluster
from entasis_db.embedded.binaries import usable_binaries
from entasis_db.errors import BackupError, EmbeddedServerError
from entasis_db.migrate import migrate
from entasis_db.runs import runs
from entasis_db.store import FolderStore, Store, open_store
from tests import oracle
from tests.db import Connection, KilledError, one
from tests.engines import Database, Server, Source
from tests.hostile import hijacked, hostile, planted
from tests.make import NOON, trade
from tests.s3 import S3Server
from tests.servers.cluster import SETTINGS, bare_cluster
from tests.unit.embedded.clusters import needs_wheel, reachable_folder

pytestmark = needs_wheel

KEEP_ALL = "UPDATE entasis.keep_periods SET keep = NULL"


@dataclass
class Site:
    """A server with trades, and where its backups go."""

    cluster: Cluster
    store: Store
    bindir: Path
    stored: dict[str, oracle.Trades] = field(default_factory=dict)
    """What was stored when each backup was begun, by its label."""
    stocked: dict[str, oracle.Trades] = field(default_factory=dict)
    """What was stored when each had ended."""

    def connect(self, **options: Any) -> Connection:
        return psycopg.connect(make_conninfo(self.cluster.dsn(), **options), autocommit=True)

    def take(self, connection: Connection, store: Store | None = None, **options: Any) -> str:
        before = oracle.stored_trades(connection)
        taken = take_backup(connection, store or self.store, bindir=self.bindir, **options)
        self.stored[taken.backup.label] = before
        self.stocked[taken.backup.label] = oracle.stored_trades(connection)
        return taken.backup.label

    @contextlib.contextmanager
    def restored(self, label: str | None, store: Store | None = None) -> Iterator[Connection]:
        """Connect to a new server with the data of a backup."""
        folder = reachable_folder()
        cluster = Cluster(self.bindir, folder / "home", SETTINGS)
        made: list[RestoredBackup] = []

        def restore(data: Path) -> None:
            made.append(restore_backup(store or self.store, data, label=label, bindir=self.bindir))

        try:
            cluster.adopt(restore)
            cluster.start()
            with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
                assert label in (None, made[0].backup.label)
                assert one(connection, "SHOW archive_mode") == "off"
                yield connection
        finally:
            cluster.destroy()
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def s3_place(s3: S3Server) -> Store:
    return open_store(s3.url(secrets.token_hex(4)))


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A server on which trades were written before, between and while backups were taken."""
    bindir = usable_binaries()
    folder = reachable_folder()
    try:
        with bare_cluster(bindir) as cluster:
            migrate(cluster.dsn())
            site = Site(cluster, open_store((folder / "place").as_uri()), bindir)
            with site.connect() as connection:
                assert summarize(connection)
                assert not summarize(connection)
                connection.execute(KEEP_ALL.encode())
                write(connection, 0, 2000)
                site.take(connection)
                write(connection, 2000, 2100)
                # late, corrected and deleted ones
                write(connection, -50, -40)
                connection.execute("DELETE FROM entasis.market_data WHERE id BETWEEN 10 AND 20")
                connection.execute("UPDATE entasis.market_data SET price = 7 WHERE id = 30")
                site.take(connection)
                with writing(site, 2100):
                    site.take(connection)
            yield site
    finally:
        shutil.rmtree(folder)


def write(connection: Connection, begin: int, end: int) -> None:
    trades = [
        trade(n, timestamp=NOON + n * timedelta(seconds=7), price=Decimal(100 + n % 13))
        for n in range(begin, end)
    ]
    report = ingest.ingest_trades(connection, trades, source="test", id_space="trade")
    assert report.inserted == end - begin


@contextlib.contextmanager
def writing(site: Site, begin: int) -> Iterator[None]:
    """Write trades all the time."""
    stop = threading.Event()
    faults: list[Exception] = []

    def write_on() -> None:
        number = begin
        try:
            with site.connect() as connection:
                while not stop.is_set():
                    write(connection, number, number + 5)
                    number += 5
        except Exception as error:  # noqa: BLE001 - the test fails with it
            faults.append(error)

    thread = threading.Thread(target=write_on)
    thread.start()
    time.sleep(0.05)
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert not faults


def labels(site: Site) -> list[str]:
    return list(read_place(site.store).backups)[:3]


@pytest.mark.parametrize("which", [0, 1, 2])
def test_each_backup_restores_to_what_was_stored(site: Site, which: int) -> None:
    label = labels(site)[which]
    with site.restored(label) as connection:
        found = oracle.stored_trades(connection)
        oracle.assert_candles_are_right(connection, found)
        # whatever was acknowledged before it began is there, and nothing that never was
        assert site.stored[label].items() <= found.items() <= site.stocked[label].items()
        if which == 2:
            assert len(site.stocked[label]) > len(site.stored[label])
            # what was written meanwhile went in one after the other
            new = sorted(n for *_, n in found.keys() - site.stored[label].keys())
            assert new == list(range(new[0], new[0] + len(new))) if new else True
            ended(connection)
            again_from_here(site, connection)


def ended(connection: Connection) -> None:
    """In a copy, the run that took the backup has died: it had not ended when it was copied."""
    (last,) = runs(connection, "backup", limit=1)
    assert last.outcome is None


def again_from_here(site: Site, connection: Connection) -> None:
    """A copy of the last backup goes on with it; to the server, that one is unknown then."""
    write(connection, 90_000, 90_010)
    taken = take_backup(connection, site.store, bindir=site.bindir)
    # the WAL since the last backup was not summarized on this server: none of it is left out
    label = taken.backup.label
    with site.restored(label) as copy:
        assert oracle.stored_trades(copy) == oracle.stored_trades(connection)
    with site.connect() as original:
        assert take_backup(original, site.store, bindir=site.bindir).backup.kind == "full"


def test_an_older_backup_that_runs_is_not_gone_on_with(site: Site) -> None:
    """Its WAL goes on under the same timeline: an incremental backup would lack what differs."""
    first = labels(site)[0]
    with site.restored(first) as connection:
        write(connection, 50_000, 52_000)
        # beyond where the last backup began
        connection.execute("SELECT pg_switch_wal()")
        connection.execute("CHECKPOINT")
        write(connection, 52_000, 52_010)
        taken = take_backup(connection, site.store, bindir=site.bindir)
        assert taken.backup.kind == "full"
        assert "was restored" in taken.because
        with site.restored(taken.backup.label) as copy:
            assert oracle.stored_trades(copy) == oracle.stored_trades(connection)
            oracle.assert_candles_are_right(copy, oracle.stored_trades(connection))


def test_an_incremental_backup_is_small(site: Site) -> None:
    full, second, third = (read_place(site.store).backups[label] for label in labels(site))
    assert [one.kind for one in (full, second, third)] == ["full", "incremental", "incremental"]
    assert (second.parent, third.parent) == (full.label, second.label)
    assert max(second.stored, third.stored) < full.stored / 2
    assert max(second.size, third.size) < full.size / 2


def test_in_s3_and_noted_as_runs(site: Site, s3: S3Server, s3_place: Store) -> None:
    with site.connect() as connection:
        site.take(connection, s3_place)
        write(connection, 60_000, 60_100)
        last = site.take(connection, s3_place)
        report = check_place(connection, s3_place, verify=True)
        assert report.findings == ()
        noted, taken = runs(connection, limit=2)
        assert (noted.action, noted.outcome) == ("backup check", "done")
        assert noted.detail["last"]["any"]["label"] == last
        assert (taken.action, taken.outcome) == ("backup", "done")
        assert taken.detail["label"] == last
        assert taken.detail["kind"] == "incremental"
        told = f"{noted.detail}{taken.detail}"
        for secret in (s3.access_key, s3.secret_key, connection.info.password):
            assert secret not in told
        full = report.backups[0].label
        s3_place.discard(f"{full}.base")
        report = check_place(connection, s3_place)
        assert [one.code for one in report.findings] == ["missing"]
        (noted,) = runs(connection, limit=1)
        assert noted.outcome == "failed"
        assert f"base.tar.gz of backup {full} is missing" in noted.detail["error"]
        # what cannot be gone on with is not
        assert "is not whole" in take_backup(connection, s3_place, bindir=site.bindir).because
        with site.restored(None, s3_place) as copy:
            assert oracle.stored_trades(copy) == oracle.stored_trades(connection)


def new_place(tmp_path: Path) -> Store:
    return open_store((tmp_path / "place").as_uri())


def test_when_a_full_one_is_taken(site: Site, tmp_path: Path) -> None:
    store = new_place(tmp_path)
    with site.connect() as connection:

        def take(**options: Any) -> tuple[str, str]:
            taken = take_backup(connection, store, bindir=site.bindir, **options)
            return taken.backup.kind, taken.because

        assert take() == ("full", "there is none yet")
        kind, because = take(full_after=timedelta(0))
        assert kind == "full"
        assert "0 days old" in because
        assert take(full=True) == ("full", "it was asked for")
        kind, because = take()
        assert kind == "incremental"
        # the server has lost what it noted about changed blocks
        connection.execute("CHECKPOINT")
        while not one(
            connection,
            "SELECT count(*) FROM pg_available_wal_summaries(), pg_control_checkpoint()"
            " WHERE end_lsn >= redo_lsn",
        ):
            time.sleep(0.01)
        for file in (site.cluster.home / "data/pg_wal/summaries").iterdir():
            file.unlink()
        kind, because = take(keep_fulls=2)
        assert kind == "full"
        assert "WAL summaries are required" in because
        assert [one.kind for one in read_place(store).backups.values()] == [
            *("full", "incremental", "full"),
        ]


class Mortal(FolderStore):
    """A folder whose process is killed at its put of that number: nothing is cleared up."""

    puts = 0
    at = 0

    def put(self, key: str, file: Path) -> None:
        self.puts += 1
        if self.puts == self.at:
            raise KilledError
        super().put(key, file)

    def discard(self, prefix: str) -> None:
        if self.puts == self.at and self.at:
            raise KilledError
        super().discard(prefix)


@pytest.mark.parametrize("at", [1, 2, 4])
def test_a_killed_backup_is_none(site: Site, tmp_path: Path, at: int) -> None:
    folder = tmp_path / "place"
    store = Mortal(folder)
    with site.connect() as connection:
        whole = site.take(connection, store)
        store.puts, store.at = 0, at
        with pytest.raises(KilledError):
            site.take(connection, store)
        store.at = 0
        assert list(read_place(store).backups) == [whole]
        report = check_place(connection, store)
        assert [one.code for one in report.findings] == (["unfinished"] if at > 1 else [])
        after = take_backup(connection, store, bindir=site.bindir)
        assert after.backup.parent == whole
        assert check_place(connection, store, verify=True).findings == ()


def test_a_process_that_is_killed_leaves_nothing_for_long(site: Site, tmp_path: Path) -> None:
    place = (tmp_path / "place").as_uri()
    environment = {
        **os.environ,
        "TMPDIR": str(tmp_path),
        "DATABASE_URL": site.cluster.dsn(),
        "ENTASIS_BACKUP_URL": place,
    }
    command = [sys.executable, "-m", "entasis_db", "backup", "--bindir", str(site.bindir)]
    scratch = tmp_path / f"entasis-backup-{os.geteuid()}"
    with subprocess.Popen(command, env=environment) as process:
        while not list(scratch.glob("run-*/full/base.tar.gz")):
            assert process.poll() is None
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    assert list(scratch.glob("run-*"))
    assert read_place(open_store(place)).backups == {}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert "there is none yet" in done.stdout
    assert not list(scratch.glob("run-*"))
    with site.connect() as connection:
        assert [run.outcome for run in runs(connection, "backup", limit=2)] == ["done", "died"]
        assert check_place(connection, open_store(place)).findings == ()


def test_two_at_a_time_are_one_too_many(site: Site, tmp_path: Path) -> None:
    with site.connect() as first, site.connect() as second:
        first.execute("SELECT entasis_internal.take_lease('backup')")
        with pytest.raises(BackupError, match="another backup is being taken"):
            site.take(second, new_place(tmp_path))


def test_what_keeps_a_server_from_being_backed_up(site: Site, tmp_path: Path) -> None:
    store = new_place(tmp_path)
    with site.connect() as connection:
        connection.execute(
            "CREATE ROLE archivist LOGIN PASSWORD 'secret-of-his' IN ROLE entasis_admin"
        )
        with site.connect(user="archivist", password="secret-of-his") as login:
            with pytest.raises(BackupError, match='ALTER ROLE "archivist" REPLICATION'):
                take_backup(login, store, bindir=site.bindir)
            connection.execute("ALTER ROLE archivist REPLICATION")
            assert site.take(login, store)
        with pytest.raises(BackupError, match="name the folder of its programs"):
            take_backup(connection, store, bindir=tmp_path)
        connection.execute("ALTER SYSTEM SET summarize_wal = off")
        connection.execute("SELECT pg_reload_conf()")
        while one(connection, "SHOW summarize_wal") != "off":
            time.sleep(0.01)
        with pytest.raises(BackupError, match="ALTER SYSTEM SET summarize_wal = on"):
            take_backup(connection, store, bindir=site.bindir)
        assert summarize(connection)
        (failed,) = runs(connection, "backup", limit=1)
        assert failed.outcome == "failed"
        assert "summarize_wal" in failed.detail["error"]


def test_secrets_are_in_no_argument(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[list[str]] = []
    known = subprocess.Popen

    class Listening(known):  # type: ignore[type-arg,misc,valid-type]
        def __init__(self, command: Any, **options: Any) -> None:
            told.append([str(part) for part in command])
            super().__init__(command, **options)

    monkeypatch.setattr(subprocess, "Popen", Listening)
    with site.connect(sslpassword="secret-of-a-key") as connection:
        site.take(connection, new_place(tmp_path))
        assert any("pg_basebackup" in command[0] for command in told)
        for secret in (connection.info.password, "secret-of-a-key"):
            assert secret not in str(told)


def test_an_embedded_server_takes_no_data_in_the_place_of_its_own(site: Site) -> None:
    with pytest.raises(EmbeddedServerError, match="move that folder away"):
        site.cluster.adopt(lambda folder: pytest.fail(str(folder)))
    assert site.cluster.is_running()


def test_the_password_of_a_restored_server_is_not_logged(site: Site) -> None:
    folder = reachable_folder()
    cluster = Cluster(site.bindir, folder / "home", SETTINGS)
    (folder / "home").mkdir()
    (folder / "home" / "password").write_text("it's-his\n")
    try:
        cluster.adopt(lambda data: _ignore(restore_backup(site.store, data, bindir=site.bindir)))
        cluster.start()
        with psycopg.connect(cluster.dsn()) as connection:
            assert connection.info.password == "it's-his"
        assert "his" not in (folder / "home" / "log").read_text()
    finally:
        cluster.destroy()
        shutil.rmtree(folder)


def _ignore(_: object) -> None:
    pass


def test_no_query_is_hijacked(site: Site, tmp_path: Path) -> None:
    database = Database(site.cluster.dsn(), Source("embedded", "postgresql", "", _nothing))
    with site.connect() as connection:
        connection.execute("CREATE ROLE stranger LOGIN PASSWORD 'secret-of-his' CREATEROLE")
    login = {"user": "stranger", "password": "secret-of-his"}
    with site.connect(**login) as stranger, planted(database, stranger):
        with psycopg.connect(hostile(database.dsn), autocommit=True) as connection:
            store = new_place(tmp_path)
            for _ in range(2):
                take_backup(connection, store, bindir=site.bindir)
            assert check_place(connection, store).findings == ()
            assert not summarize(connection)
        assert not hijacked(database)


def _nothing(_: Source) -> Server:
    raise AssertionError
