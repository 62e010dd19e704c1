"""Clusters with real servers: what they are, who gets in, on which port, and what errors say."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import sys
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from entasis_db.embedded import Cluster, embedded_cluster, run_as, server
from entasis_db.errors import EmbeddedServerError
from tests.unit.embedded.clusters import (
    DEBIAN,
    ROOT,
    SMALL,
    Make,
    needs_wheel,
    password_of,
    query,
    server_pid,
    wait_until,
)

pytestmark = needs_wheel


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


# ------------------------------------------------------------ who gets in


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
    for name in ("password", "pgpass", "port", "log", "lock"):
        found = (cluster.home / name).stat()
        assert (name, stat.S_IMODE(found.st_mode), found.st_uid) == (name, 0o600, os.geteuid())
    assert stat.S_IMODE(cluster.home.stat().st_mode) == (0o711 if ROOT else 0o700)
    data = (cluster.home / "data").stat()
    user = run_as()
    assert stat.S_IMODE(data.st_mode) == 0o700
    assert data.st_uid == (os.geteuid() if user is None else user[1])


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


# ------------------------------------------------------------ ports


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


# ------------------------------------------------------------ errors


def test_smart_stop_waits_and_says_so(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = make()
    cluster.start()
    monkeypatch.setattr(server, "_STOP_SECONDS", 0.5)
    with (
        contextlib.closing(psycopg.connect(cluster.dsn())),
        pytest.raises(EmbeddedServerError, match="Close its clients"),
    ):
        cluster.stop("smart")
    monkeypatch.undo()
    wait_until(lambda: cluster.status().pid is None)


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


def test_windows_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(EmbeddedServerError, match="Use WSL"):
        embedded_cluster(place)
    with pytest.raises(EmbeddedServerError, match="Use WSL"):
        Cluster(place, place)
