"""A checkout's own server: where it lives, for root and for an ordinary user."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from entasis_db.embedded import binaries, embedded_cluster, service_user
from entasis_db.errors import EmbeddedServerError
from tests.unit.embedded.clusters import REPOSITORY, ROOT, needs_wheel, only_root, query

pytestmark = needs_wheel


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
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        check=False,
    )
    place.chmod(0o711)
    assert done.stderr == ""
    assert "Permission denied" in done.stdout
    assert "set DATABASE_URL" in done.stdout
