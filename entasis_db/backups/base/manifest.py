"""What is written of a backup when all of it is stored, and read back before it is used."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from entasis_db.errors import BackupError

_FORMAT = 1


@dataclass(frozen=True)
class StoredObject:
    """An object of a backup."""

    name: str
    """base.tar.gz, pg_wal.tar.gz or backup_manifest, which is pg_basebackup's own."""
    bytes: int
    """Its size as it is stored."""
    sha256: str
    """The SHA-256 of what is stored, in hexadecimal digits."""


@dataclass(frozen=True)
class BaseBackup:
    """A backup of a whole server by pg_basebackup; ``LABEL.json`` in its store says this of it."""

    label: str
    """When it was begun (UTC) and its kind: what the keys of its objects begin with."""
    kind: Literal["full", "incremental"]
    """A full one restores by itself, an incremental one with all its parents."""
    parent: str | None
    """The label of the backup whose changes it goes on with. None: it is a full one."""
    system_identifier: str
    """What tells the server from all others; a copy of it has the same."""
    server_version: int
    """As server_version_num has it."""
    timeline: int
    """The timeline on which it ended."""
    start_lsn: str
    """From where in the WAL on it needs what is written."""
    stop_lsn: str
    """Up to where: a server that is restored from it has all that was committed before."""
    started_at: datetime
    """When it was begun; UTC."""
    ended_at: datetime
    """When pg_basebackup ended; UTC."""
    size: int
    """Bytes of the files in it, unpacked."""
    engine: str
    """The engine of the database from which it was taken."""
    release: str
    """The release of Entasis DB that took it."""
    run: int
    """The id of its run in entasis.runs, whose row is in the backup."""
    run_started_at: datetime
    """When that run began by the server's clock: tells its row from one that a copy wrote."""
    objects: tuple[StoredObject, ...]
    """All that it consists of, but for this itself."""

    @property
    def major(self) -> int:
        """The major version of PostgreSQL."""
        return self.server_version // 10000

    @property
    def stored(self) -> int:
        """Bytes of its objects."""
        return sum(one.bytes for one in self.objects)


def written(backup: BaseBackup) -> str:
    """Write it as JSON that says when it has been altered."""
    values = dataclasses.asdict(backup)
    for name in ("started_at", "ended_at", "run_started_at"):
        values[name] = values[name].isoformat()
    content = {"format": _FORMAT, **values}
    return json.dumps({**content, "sha256": _checksum(content)}, indent=1) + "\n"


def read(text: str) -> BaseBackup:
    """Read it back.

    Raises BackupError when it is not what was written, or was written by a later release.
    """
    try:
        values = json.loads(text)
        checksum = values.pop("sha256")
        if checksum != _checksum(values):
            raise BackupError("it was altered")
        if (form := values.pop("format")) != _FORMAT:
            raise BackupError(f"it has format {form}, which a later release of entasis-db reads")
        for name in ("started_at", "ended_at", "run_started_at"):
            values[name] = datetime.fromisoformat(values[name])
        values["objects"] = tuple(StoredObject(**one) for one in values["objects"])
        return BaseBackup(**values)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BackupError("it is no manifest of a backup") from None


def _checksum(content: dict[str, Any]) -> str:
    canonical = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()
