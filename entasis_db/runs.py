"""The log of runs: what began, how it ended, and what it did, in entasis.runs."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import psycopg
from psycopg.types.json import Jsonb

from entasis_db.cursors import Cursor, execute
from entasis_db.errors import EntasisError

__all__ = ["Run", "runs"]

Action = Literal[
    "migrate",
    "maintain",
    "archive",
    "restore",
    "refresh",
    "compress",
    "backup",
    "backup check",
    "dump",
    "restore-dump",
    "detect",
]


@dataclass(frozen=True)
class Run:
    """One run of what has to happen regularly."""

    id: int
    """Identifies it; ascending."""
    action: str
    """migrate, maintain, archive, restore, refresh, compress, backup, backup check, dump,
    restore-dump or detect."""
    started_at: datetime
    """When it began; UTC."""
    ended_at: datetime | None
    """When it ended; UTC. None: it runs, or died."""
    outcome: str | None
    """done, failed, or died. None: it runs, or nothing has told yet that it does not."""
    detail: dict[str, Any]
    """What it did, by kind and number, and ``error``: why it failed."""


def runs(
    connection: psycopg.Connection[Any], action: Action | None = None, limit: int = 20
) -> list[Run]:
    """Return the last runs, newest first; of one action only, if it is given.

    ``connection`` belongs to a member of entasis_admin. Raises psycopg.Error when the server
    refuses.
    """
    with Cursor(connection) as cursor:
        found = cursor.execute(
            "SELECT r.id, r.action, r.started_at, r.ended_at, r.outcome, r.detail"
            " FROM entasis.runs AS r"
            " WHERE %(action)s::pg_catalog.text IS NULL"
            " OR r.action OPERATOR(pg_catalog.=) %(action)s::pg_catalog.text"
            " ORDER BY r.id DESC LIMIT %(limit)s",
            {"action": action, "limit": limit},
        ).fetchall()
    return [
        Run(number, name, _utc(start), None if end is None else _utc(end), outcome, detail)
        for number, name, start, end, outcome, detail in found
    ]


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


@contextmanager
def recorded(
    connection: psycopg.Connection[Any], action: Action
) -> Iterator[tuple[int, dict[str, object]]]:
    """Record a run around what is done inside.

    Yields its id and a dictionary to which the run's detail is added. ``connection`` is in
    autocommit mode. A run that raises has failed; of one whose connection is lost, the next one
    says that it died.
    """
    ((run,),) = execute(connection, "SELECT entasis.begin_run(%s)", action)
    detail: dict[str, object] = {}
    try:
        yield run, detail
    except BaseException as error:
        with suppress(psycopg.Error):
            _end(connection, run, "failed", {**detail, "error": why(error)})
        raise
    _end(connection, run, "done", detail)


def record(
    connection: psycopg.Connection[Any],
    action: Action,
    began: datetime,
    error: BaseException | None = None,
    **detail: object,
) -> None:
    """Record a run that has ended; ``error`` is what it failed with."""
    ((run,),) = execute(connection, "SELECT entasis.begin_run(%s, %s)", action, began)
    if error is not None:
        detail["error"] = why(error)
    _end(connection, run, "done" if error is None else "failed", detail)


def why(error: BaseException) -> str:
    """Say what went wrong, without what a message of somebody else's may hold."""
    if isinstance(error, EntasisError):
        return str(error)
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        return f"{error.diag.message_primary} (SQLSTATE {error.sqlstate})"
    return "it was interrupted" if isinstance(error, KeyboardInterrupt) else type(error).__name__


def _end(
    connection: psycopg.Connection[Any], run: int, outcome: str, detail: dict[str, object]
) -> None:
    execute(connection, "SELECT entasis.end_run(%s, %s, %s)", run, outcome, Jsonb(detail))
