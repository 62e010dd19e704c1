"""A checkout's own server: where it lives, for root and for an ordinary user."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from entasis_db.embedded import (
    HOME_VARIABLE,
    binaries,
    checkout,
    embedded_cluster,
    embedded_home,
    former_home,
    has_cluster,
    service_user,
)
from entasis_db.errors import EmbeddedServerError
from tests.unit.embedded.clusters import REPOSITORY, ROOT, needs_wheel, only_root, query

pytestmark = needs_wheel

HOSTILE_NAME = "a $(touch x) b"


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
def test_a_service_folder_of_someone_else_is_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = place / "service"
    store.mkdir()
    os.chown(store, 65534, 65534)
    monkeypatch.setattr(service_user, "SERVICE_ROOT", store)
    with pytest.raises(EmbeddedServerError, match="not a folder of the calling user"):
        embedded_cluster(place)


# Everything is imported before root is given up, since the interpreter may live in a place that
# only root can read.
ORDINARY = """
import os, stat, sys
from pathlib import Path
import psycopg
from entasis_db.embedded import embedded_cluster, embedded_home, former_home, has_cluster
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
home = Path(os.environ["XDG_DATA_HOME"]) / "entasis-db"
assert embedded_home() == home  # the checkout of the package is another user's
assert not has_cluster(home) and not home.exists()
cluster = embedded_cluster(checkout)
try:
    cluster.start()
    with psycopg.connect(cluster.dsn()) as connection:
        connection.execute("CREATE TABLE t ()")
    connection.close()
    assert embedded_cluster(checkout).home == cluster.home == checkout / ".entasis"
    assert embedded_cluster(checkout).is_running()
    # what was made for the folder in which one is, by the rule of earlier drafts
    os.chdir("deep/below")
    assert former_home() == cluster.home and has_cluster(cluster.home)
    os.environ["ENTASIS_EMBEDDED_HOME"] = str(cluster.home)
    assert embedded_home() == cluster.home and former_home() is None
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
    package, _ = binaries.wheel_binaries()
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
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "XDG_DATA_HOME": str(place / "data")},
        check=False,
    )
    place.chmod(0o711)
    assert done.stderr == ""
    assert "Permission denied" in done.stdout
    assert "set DATABASE_URL" in done.stdout


def test_it_is_the_same_in_every_folder(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(HOME_VARIABLE, raising=False)
    found = embedded_home()
    assert found == embedded_home(REPOSITORY)
    for folder in (REPOSITORY / "docs", place):
        monkeypatch.chdir(folder)
        assert embedded_home() == found
    # another checkout around the working folder changes nothing either
    (place / ".git").mkdir()
    assert embedded_home() == found


def test_a_folder_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = place / HOSTILE_NAME
    monkeypatch.setenv(HOME_VARIABLE, str(named))
    assert embedded_home() == named
    assert not has_cluster(named)
    assert list(place.iterdir()) == []
    assert embedded_cluster().home == named
    monkeypatch.setenv(HOME_VARIABLE, "here")
    with pytest.raises(EmbeddedServerError, match="write the whole path"):
        embedded_home()


def test_a_package_from_a_wheel_has_its_users_server(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(HOME_VARIABLE, raising=False)
    monkeypatch.setattr(checkout, "sql_root", lambda: place)
    homes = []
    for data in (str(place / "data"), "", "relative"):
        monkeypatch.setenv("XDG_DATA_HOME", data)
        homes.append(embedded_home())
    assert homes[1] == homes[2] != homes[0] != embedded_home(REPOSITORY)
    if not ROOT:
        assert homes == [
            place / "data" / "entasis-db",
            *2 * [Path("~/.local/share/entasis-db").expanduser()],
        ]


@only_root
def test_what_an_earlier_draft_made_for_the_working_folder_is_found(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(HOME_VARIABLE, raising=False)
    monkeypatch.chdir(place)
    old = embedded_home(place)
    assert former_home() is None
    old.mkdir(parents=True)
    assert former_home() is None
    (old / "data").mkdir()
    (old / "data" / "PG_VERSION").write_text("18\n")
    assert former_home() == old
    monkeypatch.setenv(HOME_VARIABLE, str(old))
    assert former_home() is None
    shutil.rmtree(old)
