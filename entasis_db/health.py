"""How the database is: what is checked, what is over its threshold, and what to do about it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

import psycopg

from entasis_db.cursors import execute

__all__ = ["Check", "Severity", "health"]

Severity = Literal["ok", "unknown", "warning", "critical"]


@dataclass(frozen=True)
class Check:
    """What a check has found."""

    check: str
    """Its name, under which docs/health.md says more."""
    severity: Severity
    """unknown: this login may not see it."""
    value: Decimal | None
    """The worst value, in ``unit``. None: unknown, or there is nothing to measure."""
    threshold: Decimal | None
    """What the value is compared with. None: the check is never over."""
    unit: str
    """Of value and threshold."""
    since: datetime | None
    """Since when it is over; UTC. None: it is not, or nothing tells."""
    subject: str | None
    """What has the worst value. None: the whole database or server."""
    subjects: int
    """How many of these are over a threshold, or unknown."""
    measures: str
    """What is measured."""
    advice: str
    """What to do when it is over."""
    page: str
    """Where the handbook says more."""


def health(connection: psycopg.Connection[Any]) -> list[Check]:
    """Return every check of ``entasis.health``, in its order; changes nothing.

    ``connection`` belongs to a member of entasis_monitor or entasis_admin, who sees all that a
    member of pg_monitor may; the rest is unknown. It may be a replica's. Raises psycopg.Error when
    the server refuses.
    """
    rows = execute(
        connection,
        "SELECT h.check_name, h.severity, h.value, h.threshold, h.unit, h.since, h.subject,"
        " h.subjects, h.measures, h.advice, h.page FROM entasis.health AS h",
    )
    return [
        Check(name, severity, value, threshold, unit, _utc(since), *rest)
        for name, severity, value, threshold, unit, since, *rest in rows
    ]


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)
