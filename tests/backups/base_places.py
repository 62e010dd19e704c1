"""Places with backups that no server took, and faults that are planted in them."""

import dataclasses
import tarfile
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from entasis_db.backups.base import BaseBackup, StoredObject, manifest, place
from entasis_db.store import Store

NAMES = ("backup_manifest", "base.tar.gz", "pg_wal.tar.gz")
NOW = datetime.now(UTC).replace(microsecond=0)
SERVER = "7000000000000000001"


def put(store: Store, key: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "content"
        file.write_bytes(content)
        store.put(key, file)


def content(store: Store, key: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "content"
        store.get(key, file)
        return file.read_bytes()


def plant(store: Store, days_ago: float, parent: str | None = None) -> str:
    """Store what looks like a backup, so many days old; return its label."""
    taken = NOW - timedelta(days=days_ago)
    kind = "full" if parent is None else "incremental"
    label = f"{taken:%Y%m%dT%H%M%SZ}-{kind}"
    with tempfile.TemporaryDirectory() as folder:
        objects = []
        for name in NAMES:
            file = Path(folder) / name
            if name.endswith(".tar.gz"):
                with tarfile.open(file, "w:gz") as archive:
                    made = tarfile.TarInfo("pg_wal" if name.startswith("base") else label)
                    made.type = tarfile.DIRTYPE
                    made.mode = 0o700
                    archive.addfile(made)
            else:
                file.write_text(f"{name} of {label}")
            store.put(place.key_of(label, name), file)
            objects.append(StoredObject(name, file.stat().st_size, place.sha256(file)))
        backup = BaseBackup(
            label=label,
            kind="full" if parent is None else "incremental",
            parent=parent,
            system_identifier=SERVER,
            server_version=180006,
            timeline=1,
            start_lsn="0/3000028",
            stop_lsn="0/3000120",
            started_at=taken,
            ended_at=taken,
            size=1_000_000,
            engine="postgresql",
            release="0.1.0",
            run=1,
            run_started_at=taken,
            objects=tuple(objects),
        )
        place.finish(store, backup, Path(folder))
    return label


def altered(content: bytes) -> bytes:
    """Change one bit."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def rewrite(store: Store, label: str, **changes: object) -> None:
    """Store another manifest of a backup, one that was not altered on the way."""
    key = place.key_of(label, "json")
    known = manifest.read(content(store, key).decode())
    put(store, key, manifest.written(dataclasses.replace(known, **changes)).encode())  # type: ignore[arg-type]
