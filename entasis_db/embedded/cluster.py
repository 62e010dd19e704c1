"""A PostgreSQL data directory with a server: what callers start, stop, look at and connect to."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg

from entasis_db.embedded.adopting import adopt
from entasis_db.embedded.errors import NO_WINDOWS, plain_errors
from entasis_db.embedded.home import DATABASE, SUPERUSER, Home
from entasis_db.embedded.initdb import initialise
from entasis_db.embedded.process import HOST
from entasis_db.embedded.server import Server, StopMode
from entasis_db.embedded.service_user import check_reach, run_as
from entasis_db.embedded.startup import Startup
from entasis_db.errors import EmbeddedServerError

_NOT_SETTABLE = {
    "config_file",
    "data_directory",
    "hba_file",
    "ident_file",
    "listen_addresses",
    "port",
    "unix_socket_directories",
}


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


class Cluster:
    """One PostgreSQL data directory, with a server that can be started and stopped.

    ``bindir`` holds ``initdb`` and ``postgres`` (any version since 13). ``home`` is the folder
    for all that belongs to this cluster: ``data/``, ``password``, ``pgpass`` (the same for
    clients of libpq), ``port``, ``log``, ``lock``. It is created if it is missing, and is set to
    mode 0700 (0711 when root calls, because the service user must pass through it); no folder
    above it is ever changed.

    ``settings`` are server settings that hold from the next ``start()``. Those which decide who
    can reach the server cannot be given.

    Raises:
        EmbeddedServerError: the platform has no POSIX processes and locks (Windows), or the path
            of ``home`` is not UTF-8 or has a line break in it.
        ValueError: a setting cannot be given, or is not the name of one.
    """

    def __init__(self, bindir: Path, home: Path, settings: Mapping[str, str] | None = None):
        if sys.platform == "win32":
            raise EmbeddedServerError(NO_WINDOWS)
        self.bindir = bindir.resolve()
        self.home = home.resolve()
        self.settings = dict(settings or {})
        for name in self.settings:
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]*", name):
                raise ValueError(f"{name!r} is not the name of a server setting")
            if name.lower() in _NOT_SETTABLE:
                raise ValueError(f"{name} is decided by the cluster and cannot be set")
        if not _can_be_named(self.home):
            raise EmbeddedServerError(
                f"PostgreSQL and its clients cannot name files in {str(self.home)!r}: the path has "
                "a line break in it, or is not UTF-8. Rename the folder, or set DATABASE_URL."
            )
        self._files = Home(self.home)
        self._server = Server(self._files)

    def start(self) -> None:
        """Bring the server up, making the cluster first if there is none.

        Does nothing when it runs already. Waits for another process that is starting or stopping
        it. After a crash of the server or of the machine it recovers what was committed.

        Raises:
            EmbeddedServerError: the server cannot be started; the text has the end of its log.
        """
        files = self._files
        with plain_errors("start"), files.locked(create=True) as lock:
            check_reach(self.home, self.bindir)
            files.clear_leftovers()
            if not files.initialised():
                fsync = self.settings.get("fsync", "on").lower()
                sync = fsync not in ("off", "false", "no", "0")
                initialise(files, self.bindir, lock, sync=sync)
            port = Startup(files, self._server, self.bindir, self.settings, lock).run()
            if not files.passfile_is_current(port):
                files.write_passfile(port)

    def adopt(self, restore: Callable[[Path], None]) -> Path | None:
        """Take over data that ``restore`` makes, in the folder that it is given.

        The superuser of it gets the password of this cluster, so that ``start()`` can use it. The
        server stays down. Data that is there stays, under another name, which is answered.

        Raises:
            EmbeddedServerError: the server runs, or what was made cannot be used.
        """
        with plain_errors("restore"), self._files.locked(create=True):
            check_reach(self.home, self.bindir)
            if self._server.record() is not None:
                raise EmbeddedServerError(
                    f"The server in {self.home} runs. Stop it first: entasis stop."
                )
            self._files.clear_leftovers()
            return adopt(self._files, self.bindir, restore)

    def stop(self, mode: StopMode = "fast") -> bool:
        """Shut the server down and wait until it has gone; False when it was not running.

        ``smart`` waits for clients to leave, ``fast`` sends them away, ``immediate`` does so
        without a checkpoint, and the next start recovers.

        Raises:
            EmbeddedServerError: the server has not gone after a minute.
        """
        with plain_errors("stop"):
            if not self.home.is_dir():
                return False
            with self._files.locked(create=False):
                return self._server.stop(mode)

    def destroy(self) -> None:
        """Stop the server and delete the cluster with all its data.

        Only what the cluster made is deleted; ``home`` itself goes if nothing else is in it.

        Raises:
            EmbeddedServerError: the server does not stop. Nothing has been deleted then.
        """
        with plain_errors("delete"):
            if not self.home.is_dir():
                return
            with self._files.locked(create=False):
                self._server.stop("immediate")
                self._files.clear_leftovers()
                self._files.remove()

    def is_running(self) -> bool:
        """Whether the server answers, accepts the password, and is the one of this folder."""
        with contextlib.suppress(OSError, psycopg.Error, EmbeddedServerError):
            record = self._server.record()
            if record is not None and record.port is not None:
                with self._server.connect(record) as connection:
                    connection.execute("SELECT")
                return True
        return False

    def status(self) -> ClusterStatus:
        """Answer the state of the cluster.

        Raises:
            EmbeddedServerError: the caller may not read the cluster.
        """
        with plain_errors("look at"):
            record = self._server.record()
            version = self._files.version()
            user = run_as() if version is not None else None
            return ClusterStatus(
                home=self.home,
                initialised=version is not None,
                running=self.is_running(),
                pid=None if record is None else record.pid,
                port=self._files.port(),
                version=version,
                user=None if user is None else user.name,
            )

    def dsn(self, database: str = DATABASE) -> str:
        """Answer the connection URL of a database, with the password in it: keep it to yourself.

        It is read from files on each call, and changes when ``start()`` had to choose a new port.

        Raises:
            EmbeddedServerError: the cluster has never been started, or belongs to someone else.
        """
        with plain_errors("connect to"):
            port = self._known_port()
            password = quote(self._files.password(), safe="")
            return f"postgresql://{SUPERUSER}:{password}@{HOST}:{port}/{quote(database, safe='')}"

    def url(self, database: str = DATABASE) -> str:
        """Answer the connection URL of a database, without the password: it can be shown.

        Clients of libpq (psql, psycopg) and those that follow it find the password in the file
        that the URL names as its ``passfile``: ``pgpass`` in ``home``, readable by the caller
        only. The file is brought up to date on each call. The URL changes when ``start()`` had to
        choose a new port.

        Raises:
            EmbeddedServerError: the cluster has never been started, or belongs to someone else.
        """
        with plain_errors("connect to"):
            port = self._known_port()
            if not self._files.passfile_is_current(port):
                with self._files.locked(create=False):
                    port = self._known_port()
                    self._files.write_passfile(port)
            passfile = quote(os.fsencode(self._files.passfile))
            name = quote(database, safe="")
            return f"postgresql://{SUPERUSER}@{HOST}:{port}/{name}?passfile={passfile}"

    def _known_port(self) -> int:
        port = self._files.port()
        if port is None or not self._files.initialised():
            raise EmbeddedServerError(
                f"There is no database in {self.home} yet. Start the server first."
            )
        return port


def _can_be_named(path: Path) -> bool:
    # postmaster.pid is read by lines, and psycopg decodes the parameters of a connection
    try:
        return "\n" not in os.fsencode(path).decode("utf-8")
    except UnicodeDecodeError:
        return False
