"""Notes in the log of runs what a check of backups found."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol, TypeVar

import psycopg

from entasis_db.backups.findings import Finding
from entasis_db.errors import BackupError
from entasis_db.runs import recorded


class Report(Protocol):
    """What a check found."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong."""

    def detail(self) -> dict[str, Any]:
        """Return what is kept of it in the log of runs."""


class Taken(Protocol):
    """A backup, by whatever program it was taken."""

    @property
    def label(self) -> str:
        """Identifies it."""

    @property
    def ended_at(self) -> datetime:
        """When it ended; UTC."""

    @property
    def size(self) -> int:
        """Bytes of the files in it."""


def told(backup: Taken, now: datetime) -> dict[str, Any]:
    """Return what the log of runs keeps of a backup."""
    return {
        "label": backup.label,
        "ended_at": backup.ended_at.isoformat(),
        "age_seconds": int((now - backup.ended_at).total_seconds()),
        "bytes": backup.size,
    }


R = TypeVar("R", bound=Report)


class _FaultyError(BackupError):
    pass


def noted(connection: psycopg.Connection[Any], judge: Callable[[], R]) -> R:
    """Judge, and note it as a run: as failed, if anything was found."""
    try:
        with recorded(connection, "backup check") as (_, detail):
            report = judge()
            detail.update(report.detail())
            _fail_if_any(report.findings)
    except _FaultyError:
        pass
    return report


def _fail_if_any(findings: tuple[Finding, ...]) -> None:
    if findings:
        raise _FaultyError("; ".join(one.what for one in findings))
