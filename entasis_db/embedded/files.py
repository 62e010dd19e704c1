"""Folders and files that survive a crash, belong to the caller, and can be deleted for good."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
import time
from pathlib import Path

from entasis_db.errors import EmbeddedServerError

if sys.platform != "win32":
    import fcntl


def own_folder(path: Path, mode: int) -> None:
    """Create a folder, or make sure that it is one of the caller's own, with this mode."""
    path.mkdir(parents=True, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise EmbeddedServerError(
            f"{path} is not a folder of the calling user. Move it away, or set DATABASE_URL."
        )
    if stat.S_IMODE(found.st_mode) != mode:
        path.chmod(mode)


def write_private(path: Path, text: str, prefix: str) -> None:
    """Put a file in place, whole or not at all, that only the caller can read (mode 0600).

    ``prefix`` begins the name that it has until it is complete.
    """
    handle, temporary = tempfile.mkstemp(prefix=prefix, dir=path.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(handle)
    Path(temporary).replace(path)
    sync_folder(path.parent)


def open_lock(path: Path) -> int:
    """Open a lock file, creating it if it is missing; answer its file descriptor."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def try_lock(lock: int, path: Path) -> bool:
    """Lock an open file, unless another process holds it or has deleted it in the meantime."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(lock), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


def sync_folder(path: Path) -> None:
    """Write a folder's entries to the disk: renames in it survive a crash from then on."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_tree(path: Path) -> None:
    """Delete a folder, also while the last process that works in it is dying."""
    for _ in range(50):
        shutil.rmtree(path, ignore_errors=True)
        if not path.exists():
            return
        time.sleep(0.1)
    shutil.rmtree(path)
