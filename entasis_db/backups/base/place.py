"""The place where backups lie: which there are, what they are made of, and what is missing."""

import hashlib
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from entasis_db.backups.base import manifest
from entasis_db.backups.base.manifest import BaseBackup, StoredObject
from entasis_db.errors import BackupError
from entasis_db.store import Store

_KEY = re.compile(r"(\d{8}T\d{6}Z-(?:full|incremental))\.([^/]+)")
_MANIFEST = "json"


@dataclass(frozen=True)
class Place:
    """What a store holds."""

    store: Store
    backups: dict[str, BaseBackup] = field(default_factory=dict)
    """Those that were finished, by label, the oldest first."""
    unfinished: tuple[str, ...] = ()
    """Labels of which there are objects and no manifest: begun only, or half deleted."""
    unreadable: dict[str, str] = field(default_factory=dict)
    """Labels whose manifest cannot be read, and why."""
    sizes: dict[str, int] = field(default_factory=dict)
    """Bytes of every object of every backup, by key."""

    def newest(self) -> BaseBackup | None:
        """Return the last backup that was finished."""
        return next(reversed(self.backups.values()), None)

    def chain(self, backup: BaseBackup) -> list[BaseBackup]:
        """Return what is needed to restore a backup: the full one first, itself last.

        Raises BackupError when one of them is not there.
        """
        found = [backup]
        while (parent := found[0].parent) is not None:
            if parent not in self.backups:
                raise BackupError(f"{found[0].label} needs {parent}, which is not there")
            found.insert(0, self.backups[parent])
        return found

    def faults(self, backup: BaseBackup) -> Iterator[tuple[str, str]]:
        """Say which objects of a backup are missing or have another size, as far as names tell."""
        for one in backup.objects:
            there = self.sizes.get(key_of(backup.label, one.name))
            if there is None:
                yield one.name, "is missing"
            elif there != one.bytes:
                yield one.name, f"has {there:,} bytes and was written with {one.bytes:,}"

    def is_intact(self, backup: BaseBackup) -> bool:
        """Say whether all that a backup needs is there, as far as names and sizes tell."""
        try:
            return not any(any(self.faults(one)) for one in self.chain(backup))
        except BackupError:
            return False

    def root(self, backup: BaseBackup) -> str:
        """Return the label of the full backup, or of the last parent that is known to be needed."""
        while backup.parent in self.backups:
            backup = self.backups[backup.parent]
        return backup.parent or backup.label


def read_place(store: Store) -> Place:
    """Look at what is there.

    Raises StoreError when the store cannot be read.
    """
    sizes: dict[str, int] = {}
    names = defaultdict(set)
    for key, size in store.sizes().items():
        if found := _KEY.fullmatch(key):
            sizes[key] = size
            names[found[1]].add(found[2])
    backups: dict[str, BaseBackup] = {}
    unreadable: dict[str, str] = {}
    for one in sorted(names):
        if _MANIFEST not in names[one]:
            continue
        try:
            backups[one] = _read(store, one)
        except BackupError as error:
            unreadable[one] = str(error)
    unfinished = (one for one in sorted(names) if _MANIFEST not in names[one])
    return Place(store, backups, tuple(unfinished), unreadable, sizes)


def _read(store: Store, label: str) -> BaseBackup:
    with tempfile.TemporaryDirectory(prefix="entasis-") as folder:
        file = Path(folder) / "manifest"
        store.get(key_of(label, _MANIFEST), file)
        found = manifest.read(file.read_text(encoding="utf-8", errors="replace"))
    if found.label != label:
        raise BackupError(f"it is that of {found.label}")
    return found


def key_of(label: str, name: str) -> str:
    """Return the key of an object of a backup."""
    return f"{label}.{name}"


def finish(store: Store, backup: BaseBackup, folder: Path) -> None:
    """Write the manifest of a backup, without which it counts for nothing.

    Raises BackupError when an object is not there as it was written.
    """
    there = Place(store, sizes=store.sizes(key_of(backup.label, "")))
    for name, fault in there.faults(backup):
        raise BackupError(f"{name} was stored, and {fault}: take the backup again")
    file = folder / "manifest"
    file.write_text(manifest.written(backup), encoding="utf-8")
    store.put(key_of(backup.label, _MANIFEST), file)


def delete(store: Store, label: str) -> None:
    """Delete a backup, its manifest first: what is left of it is seen to be no backup."""
    store.discard(key_of(label, _MANIFEST))
    store.discard(key_of(label, ""))


def fetch(store: Store, backup: BaseBackup, one: StoredObject, file: Path) -> None:
    """Fetch an object of a backup.

    Raises BackupError when it is not what was written.
    """
    store.get(key_of(backup.label, one.name), file)
    if file.stat().st_size != one.bytes or sha256(file) != one.sha256:
        raise BackupError(
            f"{one.name} of backup {backup.label} is not what was written there: restore an older"
            " backup (entasis backup list), and see what else was altered (entasis backup check"
            " --verify)"
        )


def sha256(file: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with file.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()
