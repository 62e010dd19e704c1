"""Making the data folder of a cluster."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import tempfile
from pathlib import Path

from entasis_db.embedded.files import remove_tree, sync_folder
from entasis_db.embedded.home import STAGING, SUPERUSER, Home
from entasis_db.embedded.process import ServiceUser, last_lines, spawn
from entasis_db.embedded.service_user import run_as
from entasis_db.errors import EmbeddedServerError

_SECONDS = 120.0

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


def initialise(home: Home, bindir: Path, lock: int, *, sync: bool) -> None:
    """Make the data folder under another name and rename it when it is whole. Needs the lock.

    ``sync`` says whether initdb waits until all is on the disk.
    """
    user = run_as()
    staging = Path(tempfile.mkdtemp(prefix=STAGING, dir=home.folder))
    try:
        data = staging / "data"
        data.mkdir(mode=0o700)
        password = secrets.token_urlsafe(32)
        handle = os.open(staging / "pw", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(password + "\n")
            if user is not None:
                os.fchown(handle, user.uid, user.gid)
        if user is not None:
            os.chown(data, user.uid, user.gid)
            staging.chmod(0o711)
        command = [
            str(bindir / "initdb"),
            f"--pgdata={data}",
            f"--username={SUPERUSER}",
            f"--pwfile={staging / 'pw'}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--no-instructions",
            *([] if sync else ["--no-sync"]),
        ]
        _run(command, home, lock, user)
        (staging / "pw").unlink()
        conf = os.open(data / "postgresql.conf", os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
        with os.fdopen(conf, "w") as file:
            file.write(_CONF)
            file.flush()
            os.fsync(conf)
        # First the password, then the data: data without its password would be of no use,
        # a password without data is replaced by the next attempt.
        home.write_password(password)
        data.rename(home.data)
        sync_folder(home.folder)
    finally:
        remove_tree(staging)


def _run(command: list[str], home: Home, lock: int, user: ServiceUser | None) -> None:
    # It inherits the lock: if this process is killed, the next one waits for initdb to end
    # before it clears up behind it.
    with spawn(
        command, user, stdin=lock, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        try:
            said, _ = process.communicate(timeout=_SECONDS)
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
                    f"initdb did not come to an end in {_SECONDS:.0f} s. Is the disk "
                    f"under {home.folder} very slow? Try again, or set DATABASE_URL."
                ) from None
            raise
    if process.returncode != 0:
        raise EmbeddedServerError(
            f"A database could not be made in {home.folder}. initdb says:\n" + last_lines(said)
        )
