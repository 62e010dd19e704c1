"""What a check of the backups found."""

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from entasis_db.backups.archiver import Archiver
from entasis_db.backups.findings import Finding
from entasis_db.backups.noting import told
from entasis_db.backups.pgbackrest import Backup, Repository

Kind = Literal["full", "any", "monthly"]


def last_backup(repositories: Iterable[Repository], kind: Kind) -> tuple[int, Backup] | None:
    """Find the newest backup of a kind, and the number of its repository."""
    found = [(one.key, b) for one in repositories for b in one.backups if _is(b, kind)]
    return max(found, key=lambda pair: pair[1].ended_at, default=None)


def _is(backup: Backup, kind: Kind) -> bool:
    monthly = backup.annotations.get("kind") == "monthly"
    if kind == "monthly":
        return monthly
    return not monthly and (kind == "any" or backup.kind == "full")


@dataclass(frozen=True)
class BackupReport:
    """What there is of backups, and what is wrong with it."""

    checked_at: datetime
    """When it was looked; UTC."""
    stanza: str
    """The name under which pgBackRest knows the server."""
    repositories: tuple[Repository, ...]
    """Where its backups lie."""
    archiver: Archiver | None
    """How far the archiving of WAL has come. None: the server could not be asked."""
    is_running: bool
    """Whether a backup ran meanwhile."""
    verified: bool
    """Whether every file was read and compared with its checksum."""
    findings: tuple[Finding, ...]
    """What is wrong; empty where all is as it should be."""

    def last(self, kind: Kind) -> Backup | None:
        """Return the newest backup: full or any, which leave monthly ones out, or monthly."""
        found = last_backup(self.repositories, kind)
        return None if found is None else found[1]

    def detail(self) -> dict[str, Any]:
        """Return what is kept of it in the log of runs; it can be written as JSON."""
        return {
            "stanza": self.stanza,
            "verified": self.verified,
            "last": dict(self._last()),
            "repositories": [
                {
                    "repository": one.key,
                    "encrypted": one.cipher != "none",
                    "backups": len(one.backups),
                    "bytes": sum(b.stored for b in one.backups),
                    "first_segment": one.first_segment,
                    "last_segment": one.last_segment,
                }
                for one in self.repositories
            ],
            "archiver": self.archiver and _jsonable(dataclasses.asdict(self.archiver)),
            "findings": [
                {"code": one.code, "repository": one.repository, "text": str(one)}
                for one in self.findings
            ],
        }

    def _last(self) -> Iterator[tuple[str, Any]]:
        kinds: tuple[Kind, ...] = ("full", "any", "monthly")
        for kind in kinds:
            found = last_backup(self.repositories, kind)
            yield kind, found and {"repository": found[0], **told(found[1], self.checked_at)}


def _jsonable(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in values.items()
    }
