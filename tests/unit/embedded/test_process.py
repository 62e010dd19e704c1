"""The server as a process: which one it is, kills, races, and crashes."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from entasis_db.embedded import home, run_as
from entasis_db.embedded.process import identity
from entasis_db.errors import EmbeddedServerError
from tests.unit.embedded.clusters import (
    ROOT,
    Make,
    client,
    go,
    needs_wheel,
    only_proc,
    password_of,
    processes_in,
    query,
    read,
    server_pid,
    wait_until,
)

pytestmark = needs_wheel


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


# ------------------------------------------------------------ which server it is


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
    with subprocess.Popen(["sleep", "60"], **identity(run_as())) as other:
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


# ------------------------------------------------------------ kills and races


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
        "pgpass",
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
@pytest.mark.long
def test_a_client_killed_at_any_moment_of_its_start(
    make: Make, sign: signal.Signals, short: bool
) -> None:
    # how long a start takes here, to spread the moments over it
    began = time.monotonic()
    make("timed", fresh=True).start()
    whole = time.monotonic() - began
    rounds = 3 if short else 6
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
        patch.setattr(home, "_LOCK_SECONDS", 0.3)
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


def test_a_lock_that_is_never_given_back_is_reported(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, other = make(), make()
    monkeypatch.setattr(home, "_LOCK_SECONDS", 0.2)
    with (
        cluster._files.locked(create=True),
        pytest.raises(EmbeddedServerError, match="Another process is busy"),
    ):
        other.start()
