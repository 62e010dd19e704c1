"""The folder in which a backup lies before it is stored; a killed run's is cleared by the next."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from entasis_db.embedded.files import open_lock, own_folder, remove_tree, try_lock
from entasis_db.errors import BackupError, EmbeddedServerError

if sys.platform != "win32":
    import fcntl


@contextmanager
def scratch() -> Iterator[Path]:
    """Lend a new folder below TMPDIR that only the caller may enter."""
    store = Path(tempfile.gettempdir()) / f"entasis-backup-{os.geteuid()}"
    try:
        own_folder(store, 0o700)
    except EmbeddedServerError:
        raise BackupError(
            f"{store} is not a folder of this user: name another temporary folder in TMPDIR"
        ) from None
    turn = open_lock(store / "lock")
    try:
        fcntl.flock(turn, fcntl.LOCK_EX)
        for left in store.glob("run-*"):
            _clear(left)
        folder = Path(tempfile.mkdtemp(prefix="run-", dir=store))
        held = open_lock(folder / "lock")
        fcntl.flock(held, fcntl.LOCK_EX)
    finally:
        os.close(turn)
    try:
        yield folder
    finally:
        remove_tree(folder)
        os.close(held)


def _clear(folder: Path) -> None:
    lock = open_lock(folder / "lock")
    try:
        if try_lock(lock, folder / "lock"):
            remove_tree(folder)
    finally:
        os.close(lock)
