"""The URL without a password, and the password file that it names."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import subprocess
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from entasis_db.embedded import Cluster, embedded_cluster
from entasis_db.errors import EmbeddedServerError
from tests.unit.embedded.clusters import Make, needs_wheel, only_root, password_of, query

pytestmark = needs_wheel

HOSTILE = "a $(touch x) `touch y` \"b' c;d%20+&=?#@:\\ é …"


@pytest.fixture(autouse=True)
def nothing_from_outside(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    """No password and no server from the caller's environment or home."""
    for name in [name for name in os.environ if name.startswith("PG")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(place))


def connects(url: str) -> bool:
    with contextlib.closing(psycopg.connect(url)) as connection:
        return connection.execute("SELECT current_database()").fetchone() == ("entasis",)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def only_line(cluster: Cluster) -> str:
    return (cluster.home / "pgpass").read_text()


@pytest.mark.parametrize("name", ["home", HOSTILE], ids=["plain", "hostile"])
def test_psycopg_and_psql_find_the_password_in_the_file(make: Make, place: Path, name: str) -> None:
    cluster = make(name)
    cluster.start()
    url = cluster.url()
    assert password_of(cluster) not in url
    assert url.isascii()
    assert not set(url) & set(" \"'`$\\\n;&#")
    parts = conninfo_to_dict(url)
    assert parts == {
        "host": "127.0.0.1",
        "port": str(cluster.status().port),
        "user": "postgres",
        "dbname": "entasis",
        "passfile": str(cluster.home / "pgpass"),
    }
    assert connects(url)
    assert conninfo_to_dict(cluster.url("a/b"))["dbname"] == "a/b"
    done = subprocess.run(
        [cluster.bindir / "psql", url, "-XAtw", "-c", "SELECT current_database()"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("entasis\n", "")
    # the file is what lets them in
    (cluster.home / "pgpass").unlink()
    with pytest.raises(psycopg.OperationalError, match="no password"):
        connects(url)
    assert connects(cluster.url())
    assert sorted(path.name for path in place.iterdir()) == [name]


def test_nobody_else_can_read_the_file(make: Make) -> None:
    cluster = make()
    old = os.umask(0)
    try:
        cluster.start()
        file = cluster.home / "pgpass"
        for spoil in (
            lambda: None,
            lambda: file.chmod(0o644),
            lambda: file.chmod(0o400),
            file.unlink,
            lambda: file.write_text("*:*:*:*:guess\n"),
        ):
            spoil()
            assert connects(cluster.url())
            assert (mode(file), file.stat().st_uid) == (0o600, os.geteuid())
            assert only_line(cluster).count("\n") == 1
    finally:
        os.umask(old)


def test_a_link_in_its_place_is_replaced_and_not_written_through(make: Make, place: Path) -> None:
    cluster = make()
    cluster.start()
    victim = place / "victim"
    victim.write_text("untouched")
    (cluster.home / "pgpass").unlink()
    (cluster.home / "pgpass").symlink_to(victim)
    assert connects(cluster.url())
    assert victim.read_text() == "untouched"
    assert not (cluster.home / "pgpass").is_symlink()


def test_it_follows_the_port_and_the_password(make: Make) -> None:
    cluster = make()
    cluster.start()
    old = cluster.status().port
    assert old is not None
    before = only_line(cluster)
    assert before == f"127.0.0.1:{old}:*:postgres:{password_of(cluster)}\n"
    cluster.stop()
    with socket.create_server(("127.0.0.1", old)):
        cluster.start()
        new = cluster.status().port
        assert new != old
        # also for those who keep to the file, and never ask for the URL
        assert only_line(cluster) == before.replace(str(old), str(new))
        odd = "a:b\\c'd\\:é"
        query(cluster, """ALTER ROLE postgres PASSWORD E'a:b\\\\c''d\\\\:é'""")
        (cluster.home / "password").write_text(f"{odd}\n")
        assert password_of(cluster) == odd
        assert connects(cluster.url())
        assert odd not in cluster.url()


def test_no_url_before_there_is_a_server(make: Make, place: Path) -> None:
    with pytest.raises(EmbeddedServerError, match="Start the server first"):
        make("none", fresh=True).url()
    assert not (place / "none").exists()


@pytest.mark.parametrize("name", [b"\xff", b"two\nlines"])
def test_a_path_that_clients_could_not_name_is_refused(place: Path, name: bytes) -> None:
    with pytest.raises(EmbeddedServerError, match=r"cannot name files in '.*\\.*Rename") as caught:
        Cluster(place, place / os.fsdecode(name))
    assert "\n" not in str(caught.value)


@only_root
def test_root_may_work_in_such_a_folder_all_the_same(service_root: Path, place: Path) -> None:
    checkout = place / os.fsdecode(b"\xff")
    checkout.mkdir()
    cluster = embedded_cluster(checkout)
    assert (cluster.home / "checkout").read_bytes() == os.fsencode(checkout) + b"\n"
    assert cluster.home.parent == service_root
    cluster.destroy()
