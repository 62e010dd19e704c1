"""A server of trades, backed up while they are written, restored from each backup, and compared."""

import contextlib
import hashlib
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
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
    StoredObject,
    check_place,
    place,
    read_place,
    restore_backup,
    take_backup,
)
from entasis_db.backups.base.source import summarize
from entasis_db.embedded import Cluster, embedded_home, service_user
from entasis_db.embedded.binaries import usable_binaries
from entasis_db.errors import BackupError, EmbeddedServerError, StoreError
from entasis_db.migrate import migrate
from entasis_db.runs import runs
from entasis_db.store import FolderStore, Store, open_store
from tests import oracle
from tests.backups.base_places import content, put, rewrite
from tests.contract.installation.test_docs import blocks
from tests.db import Connection, KilledError, one
from tests.engines import REPOSITORY, Database, Server, Source
from tests.hostile import hijacked, hostile, planted
from tests.make import NOON, trade
from tests.s3 import S3Server
from tests.servers.cluster import SETTINGS
from tests.unit.embedded.clusters import needs_wheel, reachable_folder

pytestmark = needs_wheel

KEEP_ALL = "UPDATE entasis.keep_periods SET keep = NULL"


@dataclass
class Site:
    """A server with trades, and where its backups go."""

    cluster: Cluster
    store: Store
    bindir: Path
    checkout: Path
    """The checkout whose embedded server it is."""
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
        (folder / "home").mkdir()
        (folder / "home" / "password").write_text("it's-his\n")
        made: list[RestoredBackup] = []

        def restore(data: Path) -> None:
            made.append(restore_backup(store or self.store, data, label=label, bindir=self.bindir))

        try:
            cluster.adopt(restore)
            cluster.start()
            with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
                assert label in (None, made[0].backup.label)
                assert one(connection, "SHOW archive_mode") == "off"
                assert connection.info.password == "it's-his"
                yield connection
            assert "his" not in (folder / "home" / "log").read_text()
        finally:
            cluster.destroy()
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def s3_place(s3: S3Server) -> Store:
    return open_store(s3.url(secrets.token_hex(4)))


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """In memory, where there is room: each server is a thousand files."""
    found = reachable_folder()
    yield found
    shutil.rmtree(found)


@pytest.fixture
def tmp_path(folder: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=folder))


@pytest.fixture(scope="module")
def service_root(folder: Path) -> Iterator[Path]:
    """Keep root's servers out of /var/lib, those of commands too: the folder with how they do."""
    root = folder / "service"
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text(
        "from pathlib import Path\nfrom entasis_db.embedded import service_user\n"
        f"service_user.SERVICE_ROOT = Path({str(root)!r})\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service_user, "SERVICE_ROOT", root)
        yield folder / "site"


@pytest.fixture(scope="module")
def site(folder: Path, service_root: Path) -> Iterator[Site]:
    """A server on which trades were written before, between and while backups were taken."""
    bindir = usable_binaries()
    (folder / "checkout" / ".entasis").mkdir(parents=True)
    cluster = Cluster(bindir, embedded_home(folder / "checkout"), SETTINGS)
    try:
        cluster.start()
        migrate(cluster.dsn())
        site = Site(cluster, open_store((folder / "place").as_uri()), bindir, folder / "checkout")
        with site.connect() as connection:
            assert summarize(connection)
            assert not summarize(connection)
            connection.execute(KEEP_ALL.encode())
            # as on a server whose copies must not write into its archive
            connection.execute("ALTER SYSTEM SET archive_mode = on")
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
        cluster.destroy()


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


def test_each_backup_restores_to_what_was_stored(site: Site, short: bool) -> None:
    for label in labels(site)[1 + short :]:
        with site.restored(label) as connection:
            found = oracle.stored_trades(connection)
            oracle.assert_candles_are_right(connection, found)
            # whatever was acknowledged before it began is there, and nothing that never was
            assert site.stored[label].items() <= found.items() <= site.stocked[label].items()
            if label == labels(site)[-1]:
                assert len(site.stocked[label]) > len(site.stored[label])
                # what was written meanwhile went in one after the other
                written = {n for *_, n in found if n >= 2100}
                assert written == set(range(2100, 2100 + len(written)))
                ended(connection)
                again_from_here(site, connection)


def ended(connection: Connection) -> None:
    """In a copy, the run that took the backup has died: it had not ended when it was copied."""
    (last,) = runs(connection, "backup", limit=1)
    assert last.outcome is None


def again_from_here(site: Site, connection: Connection) -> None:
    """A copy begins anew, and so does the server when a copy was backed up beside it."""
    write(connection, 90_000, 90_010)
    with site.connect() as original:
        for server in (connection, original):
            taken = take_backup(server, site.store, bindir=site.bindir)
            assert taken.backup.kind == "full"
            assert "was restored" in taken.because


def write_one(connection: Connection) -> None:
    connection.execute("SELECT pg_logical_emit_message(true, '', 'x')")


def test_an_older_backup_that_runs_is_not_gone_on_with(site: Site) -> None:
    """Its WAL goes on under the same timeline: an incremental backup would lack what differs."""
    first = labels(site)[0]
    with site.restored(first) as connection:
        assert oracle.stored_trades(connection) == site.stored[first]
        write(connection, 50_000, 52_000)
        # beyond where the last backup began, from where on an incremental one has what changed
        last = read_place(site.store).newest()
        assert last is not None
        while not one(connection, "SELECT pg_current_wal_lsn() > %s::pg_lsn", last.stop_lsn):
            connection.execute("SELECT pg_switch_wal()")
            write_one(connection)
        write(connection, 53_000, 53_010)
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


def test_a_killed_backup_is_none(site: Site, tmp_path: Path, short: bool) -> None:
    store = Mortal(tmp_path / "place")
    with site.connect() as connection:
        whole = site.take(connection, store)
        for at in (4,) if short else (1, 2, 3, 4):  # the fourth is the manifest
            store.puts, store.at = 0, at
            with pytest.raises(KilledError):
                site.take(connection, store)
            store.at = 0
            assert list(read_place(store).backups) == [whole]
            report = check_place(connection, store)
            assert [one.code for one in report.findings] == (["unfinished"] if at > 1 else [])
            with site.connect() as busy:
                busy.execute("SELECT entasis.begin_run('backup')")
                assert check_place(connection, store).findings == ()
        after = take_backup(connection, store, bindir=site.bindir)
        assert after.backup.parent == whole
        assert check_place(connection, store, verify=True).findings == ()


class Full(FolderStore):
    """A folder whose disk is full when the second object comes."""

    puts = 0

    def put(self, key: str, file: Path) -> None:
        self.puts += 1
        if self.puts == 2:
            raise StoreError(f"{key} could not be written: No space left on device")
        super().put(key, file)


def test_a_full_store_is_said_and_left_as_it_was(site: Site, tmp_path: Path) -> None:
    store = Full(tmp_path / "place")
    with site.connect() as connection:
        with pytest.raises(StoreError, match="No space left"):
            take_backup(connection, store, bindir=site.bindir)
        assert store.sizes() == {}
        (failed,) = runs(connection, "backup", limit=1)
        assert failed.outcome == "failed"
        assert "No space left" in failed.detail["error"]
        assert [one.code for one in check_place(connection, store).findings] == [
            *("no full backup", "no backup"),
        ]


def test_a_process_that_is_killed_leaves_nothing_for_long(site: Site, tmp_path: Path) -> None:
    url = (tmp_path / "place").as_uri()
    environment = {
        **os.environ,
        "TMPDIR": str(tmp_path),
        "DATABASE_URL": site.cluster.dsn(),
        "ENTASIS_BACKUP_URL": url,
    }
    command = [sys.executable, "-m", "entasis_db", "backup", "--programs", str(site.bindir)]
    scratch = tmp_path / f"entasis-backup-{os.geteuid()}"
    with subprocess.Popen(command, env=environment) as process:
        while not list(scratch.glob("run-*/full/base.tar.gz")):
            assert process.poll() is None
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    assert list(scratch.glob("run-*"))
    assert read_place(open_store(url)).backups == {}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert "there is none yet" in done.stdout
    assert not list(scratch.glob("run-*"))
    with site.connect() as connection:
        assert [run.outcome for run in runs(connection, "backup", limit=2)] == ["done", "died"]
        assert check_place(connection, open_store(url)).findings == ()


def test_what_postgresql_itself_does_not_verify_is_no_server(site: Site, tmp_path: Path) -> None:
    """Ours says that all was stored as it was made; theirs, that it was made as it ought to be."""
    store, full = new_place(tmp_path), read_place(site.store).backups[labels(site)[0]]
    for key in site.store.sizes(full.label):
        put(store, key, content(site.store, key))
    key = place.key_of(full.label, "backup_manifest")
    theirs = content(store, key).replace(b'"pg_hba.conf", "Size": ', b'"pg_hba.conf", "Size": 1')
    put(store, key, theirs)
    stored = StoredObject("backup_manifest", len(theirs), hashlib.sha256(theirs).hexdigest())
    rewrite(store, full.label, objects=(*full.objects[1:], stored))
    folder = reachable_folder()
    try:
        with pytest.raises(BackupError, match=r"pg_verifybackup failed: .*checksum"):
            restore_backup(store, folder / "data", bindir=site.bindir)
        assert not list(folder.iterdir())
    finally:
        shutil.rmtree(folder)


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


def test_a_server_that_runs_takes_no_other_data(site: Site) -> None:
    with pytest.raises(EmbeddedServerError, match="Stop it first"):
        site.cluster.adopt(lambda folder: pytest.fail(str(folder)))
    assert site.cluster.is_running()


PAGE = REPOSITORY / "docs" / "recovery" / "small-installations.md"
HERE = "needs the embedded server"


@pytest.mark.long
def test_the_page_does_what_it_says(site: Site, service_root: Path) -> None:
    """The lines after ``$`` of its blocks for the embedded server, in a checkout, in one shell."""
    drill = site.checkout.with_name("drill")
    commands = [
        line[2:].replace("/var/tmp/entasis-drill", shlex.quote(str(drill)))
        for note, text in blocks(PAGE, "console")
        if note == HERE
        for line in text.splitlines()
        if line.startswith("$ ")
    ]
    environment = {
        **{name: value for name, value in os.environ.items() if name != "DATABASE_URL"},
        "ENTASIS_BACKUP_URL": (site.checkout / "page").as_uri(),
        "ENTASIS_EMBEDDED_HOME": str(site.cluster.home),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(service_root), str(REPOSITORY), *sys.path]),
    }
    with site.connect() as connection:
        before = oracle.stored_trades(connection)
    try:
        done = subprocess.run(
            ["/bin/bash", "-e", "-x", "-c", "\n".join(commands)],
            cwd=site.checkout,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        (former,) = site.cluster.home.glob("data-until-*")
        assert str(former) in done.stdout
        assert "the backups are as they should be" in done.stdout
        site.cluster.start()
        with site.connect() as connection:
            assert oracle.stored_trades(connection) == before
            oracle.assert_candles_are_right(connection, before)
    finally:
        Cluster(site.bindir, drill).destroy()


def test_no_query_is_hijacked(site: Site, tmp_path: Path) -> None:
    database = Database(site.cluster.dsn(), Source("embedded", "postgresql", "", _nothing))
    with site.connect() as connection:
        connection.execute("CREATE ROLE stranger LOGIN PASSWORD 'secret-of-his' CREATEROLE")
    login = {"user": "stranger", "password": "secret-of-his"}
    with site.connect(**login) as stranger, planted(database, stranger):
        with psycopg.connect(hostile(database.dsn), autocommit=True) as connection:
            store = new_place(tmp_path)
            for full in (True, False):
                taken = take_backup(connection, store, full=full, bindir=site.bindir)
                assert (taken.because == "it was asked for") is full
            assert check_place(connection, store).findings == ()
            assert not summarize(connection)
        assert not hijacked(database)


def _nothing(_: Source) -> Server:
    raise AssertionError
