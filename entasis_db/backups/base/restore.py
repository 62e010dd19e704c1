"""Making a data folder of a backup and its parents, with every step verified."""

import os
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from entasis_db.backups.base import place
from entasis_db.backups.base.manifest import BaseBackup
from entasis_db.backups.base.place import Place, read_place
from entasis_db.backups.base.programs import find_programs, no_traceback, run
from entasis_db.embedded.files import remove_tree, sync_folder
from entasis_db.embedded.process import ServiceUser, identity
from entasis_db.embedded.service_user import run_as
from entasis_db.errors import BackupError
from entasis_db.store import Store

Progress = Callable[[str], None]

_WORK = ".entasis-restore"
# without it no server starts, so it is put in place last
_LAST = "PG_VERSION"
_LINKS = 18  # from this version on, pg_combinebackup can link what it need not change
_SETTINGS = """
# Written by entasis restore-backup: a copy must not write into the archive of its original.
# When it has taken its place: ALTER SYSTEM RESET archive_mode, and restart.
archive_mode = 'off'
"""


@dataclass(frozen=True)
class RestoredBackup:
    """A data folder that was made of a backup."""

    backup: BaseBackup
    """The backup."""
    chain: tuple[str, ...]
    """Labels of what it was made of: the full backup first, itself last."""
    folder: Path
    """The data folder."""
    programs: Path
    """The folder of the programs that run it."""
    owner: ServiceUser | None
    """Who has to run it in place of root. None: the caller."""


def restore_backup(
    store: Store,
    into: Path,
    *,
    label: str | None = None,
    bindir: Path | None = None,
    progress: Progress = lambda _: None,
) -> RestoredBackup:
    """Make a data folder of a backup, the last one unless another is named.

    ``into`` is a new folder, or an empty one. Everything that is fetched is compared with its
    checksum, and what is made with PostgreSQL's own manifest; archive_mode is off in it. For root,
    the folder becomes that of the user who runs servers in root's place. ``bindir`` has the
    programs of the server's major version, which are found otherwise.

    Raises BackupError when there is no such backup, or it is not whole, and StoreError when the
    store fails; nothing is left in the folder then.
    """
    progress("looking at what is there")
    there = read_place(store)
    backup = _chosen(there, label)
    chain = there.chain(backup)
    for one in chain:
        for name, fault in there.faults(one):
            raise BackupError(f"{name} of backup {one.label} {fault}{_another(there, backup)}")
    programs = find_programs(backup.major, bindir)
    into = into.absolute()
    with no_traceback(f"{into} cannot be used"):
        made = _prepare(into)
    owner = run_as()
    try:
        with no_traceback("the backup could not be restored"):
            work = into / _WORK
            for folder in (into, work):
                folder.mkdir(mode=0o700, exist_ok=True)
                _give(folder, owner)
            into.chmod(0o700)
            _check_reach(into, owner)
            job = _Job(store, programs, owner, work, progress)
            job.put_in_place(job.combined(chain), into)
    except BaseException:
        _clear(into, made)
        raise
    return RestoredBackup(backup, tuple(one.label for one in chain), into, programs, owner)


def _chosen(there: Place, label: str | None) -> BaseBackup:
    if label is None:
        if (last := there.newest()) is None:
            raise BackupError(f"there is no finished backup in {there.store.location}")
        return last
    if label not in there.backups:
        why = there.unreadable.get(label) or "it is not there, or was not finished"
        raise BackupError(f"there is no backup {label}: {why}. entasis backup list shows them")
    return there.backups[label]


def _another(there: Place, backup: BaseBackup) -> str:
    whole = [b.label for b in there.backups.values() if b is not backup and there.is_intact(b)]
    return f": restore another, --backup {whole[-1]}" if whole else ", and no other one is whole"


def _prepare(into: Path) -> bool:
    """Refuse a folder that is in use; say whether it has to be made."""
    try:
        if any(into.iterdir()):
            raise BackupError(f"{into} is not empty: name a new folder, or move what is in it away")
    except FileNotFoundError:
        into.parent.mkdir(parents=True, exist_ok=True)
        return True
    return False


def _give(path: Path, owner: ServiceUser | None) -> None:
    if owner is not None:
        os.chown(path, owner.uid, owner.gid)


def _check_reach(into: Path, owner: ServiceUser | None) -> None:
    if owner is None:
        return
    found = subprocess.run(  # noqa: S603 - no shell reads the path
        ["/bin/sh", "-c", 'cd "$1"', "sh", str(into)],
        capture_output=True,
        cwd="/",
        check=False,
        **identity(owner),
    )
    if found.returncode != 0:
        raise BackupError(
            f"the user {owner.name}, who runs servers in root's place, cannot enter {into}: name a"
            " folder that every user can reach"
        )


def _clear(into: Path, made: bool) -> None:
    with suppress(OSError):
        for found in into.iterdir():
            if found.is_dir():
                remove_tree(found)
            else:
                found.unlink()
        if made:
            into.rmdir()


@dataclass(frozen=True)
class _Job:
    """One restore, in a folder in which it works."""

    store: Store
    programs: Path
    owner: ServiceUser | None
    work: Path
    progress: Progress

    def combined(self, chain: list[BaseBackup]) -> Path:
        """Unpack each backup of a chain, verify it, and combine them; verify the result."""
        unpacked = [self._unpack(one) for one in chain]
        # one by itself is brought safely to the disk in the same way
        self.progress(f"combining {len(unpacked)} backups")
        result = self.work / "combined"
        links = ["--link"] if chain[0].major >= _LINKS else []
        self._run("pg_combinebackup", *links, f"--output={result}", *unpacked)
        self._verify(result, "what they were combined to")
        for one in unpacked:
            remove_tree(one)
        return result

    def _unpack(self, backup: BaseBackup) -> Path:
        folder = self.work / backup.label
        folder.mkdir(mode=0o700)
        _give(folder, self.owner)
        file = self.work / "object"
        # the folder of the WAL is in the first one
        for one in sorted(backup.objects, key=lambda one: one.name != "base.tar.gz"):
            self.progress(f"fetching {one.name} of {backup.label}, {one.bytes:,} bytes")
            place.fetch(self.store, backup, one, file)
            if one.name == "backup_manifest":
                _give(file, self.owner)
                file.rename(folder / one.name)
                continue
            inside = folder / ("pg_wal" if one.name.startswith("pg_wal.") else "")
            with file.open("rb") as source:
                run(["tar", "-xzf", "-", "-C", inside], user=self.owner, stdin=source)
            file.unlink()
        self._verify(folder, backup.label)
        return folder

    def _verify(self, folder: Path, what: str) -> None:
        self.progress(f"verifying {what}")
        self._run("pg_verifybackup", "--exit-on-error", folder)

    def _run(self, program: str, *arguments: str | Path) -> None:
        run([self.programs / program, *arguments], user=self.owner)

    def put_in_place(self, result: Path, into: Path) -> None:
        """Move what was made to where it was wanted; it is no data folder before that is done."""
        with (result / "postgresql.auto.conf").open("a", encoding="utf-8") as settings:
            settings.write(_SETTINGS)
            settings.flush()
            os.fsync(settings.fileno())
        for found in sorted(result.iterdir(), key=lambda path: path.name == _LAST):
            if found.name == _LAST:
                sync_folder(into)
            found.rename(into / found.name)
        remove_tree(self.work)
        sync_folder(into)
