"""The folder of a cluster: its data, password, port, log and lock, and how they are kept."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from entasis_db.embedded.files import open_lock, remove_tree, try_lock, write_private
from entasis_db.embedded.process import HOST
from entasis_db.embedded.service_user import run_as
from entasis_db.errors import EmbeddedServerError

DATABASE = "entasis"
"""The database that every cluster has."""

SUPERUSER = "postgres"
"""The login that owns a cluster."""

PASSFILE = "pgpass"
"""The name of the password file that clients of libpq read."""

STAGING = "init-"
"""What begins the names of files and folders that are not complete."""

_LOCK_SECONDS = 180.0  # longer than the slowest start of another process
_FILES = ("password", PASSFILE, "port", "log", "log.1", "checkout", ".gitignore", "lock")


class Home:
    """The files of one cluster."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "log"
        self.passfile = folder / PASSFILE

    @contextlib.contextmanager
    def locked(self, *, create: bool) -> Iterator[int]:
        """Hold the lock of this cluster; the value is its file descriptor.

        The lock belongs to the open file, not to the process: children that inherit it keep it
        when their parent is killed. That is why it is only ever closed, never unlocked.
        """
        path = self.folder / "lock"
        deadline = time.monotonic() + _LOCK_SECONDS
        while True:
            if create:
                self._prepare()
            lock = open_lock(path)
            try:
                if try_lock(lock, path):
                    yield lock
                    return
            finally:
                os.close(lock)
            if time.monotonic() > deadline:
                raise EmbeddedServerError(
                    f"Another process is busy with the server in {self.folder} and does not come "
                    f"to an end. See which one holds {path} (lsof)."
                )
            time.sleep(0.05)

    def _prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        found = self.folder.stat()
        if found.st_uid != os.geteuid():
            raise EmbeddedServerError(
                f"{self.folder} belongs to another user. Call as that user, or set DATABASE_URL."
            )
        wanted = 0o700 if run_as() is None else 0o711
        if stat.S_IMODE(found.st_mode) != wanted:
            self.folder.chmod(wanted)

    def initialised(self) -> bool:
        """Say whether there is a whole data folder."""
        if (self.data / "PG_VERSION").exists():
            return True
        if self.data.exists():
            raise EmbeddedServerError(
                f"{self.data} is not the data of a PostgreSQL server. Move it away and try again."
            )
        return False

    def version(self) -> str | None:
        """Answer the major version of PostgreSQL that made the data; None when there is none."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return (self.data / "PG_VERSION").read_text(encoding="utf-8").strip()
        return None

    def password(self) -> str:
        """Read the password of the superuser."""
        path = self.folder / "password"
        try:
            return path.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            raise EmbeddedServerError(
                f"The password of the server is missing ({path}). Put the file back, or move "
                f"{self.data} away to begin with an empty database."
            ) from None

    def write_password(self, password: str) -> None:
        """Put the file of the password in place."""
        write_private(self.folder / "password", f"{password}\n", STAGING)

    def port(self) -> int | None:
        """Read the port; None when none has been chosen yet."""
        try:
            return int((self.folder / "port").read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None

    def write_port(self, port: int) -> None:
        """Put the file of the port in place."""
        write_private(self.folder / "port", f"{port}\n", STAGING)

    def passfile_is_current(self, port: int) -> bool:
        """Say whether the password file is what ``write_passfile`` would make of it.

        libpq ignores one that others can read.
        """
        try:
            found = self.passfile.lstat()
            private = stat.S_ISREG(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o600
            return (
                private
                and found.st_uid == os.geteuid()
                and self.passfile.read_text(encoding="utf-8", errors="replace")
                == self._password_line(port)
            )
        except FileNotFoundError:
            return False

    def write_passfile(self, port: int) -> None:
        """Put the password file for clients of libpq in place. Needs the lock."""
        write_private(self.passfile, self._password_line(port), STAGING)

    def _password_line(self, port: int) -> str:
        # For this port alone: whatever else listens on this machine is not offered the password.
        password = self.password().replace("\\", "\\\\").replace(":", "\\:")
        return f"{HOST}:{port}:*:{SUPERUSER}:{password}\n"

    def clear_leftovers(self) -> None:
        """Delete what a killed caller has left behind. Needs the lock."""
        for path in self.folder.glob(STAGING + "*"):
            if path.is_dir() and not path.is_symlink():
                remove_tree(path)
            else:
                path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Delete all files of the cluster, and the folder if nothing else is in it."""
        # the data first, so that a half-deleted cluster is never taken for a whole one
        if self.data.exists():
            doomed = Path(tempfile.mkdtemp(prefix=STAGING, dir=self.folder))
            self.data.rename(doomed / "data")
            remove_tree(doomed)
        for name in _FILES:
            (self.folder / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.folder.rmdir()
