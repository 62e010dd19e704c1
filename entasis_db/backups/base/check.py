"""Looks at the backups of a place and judges whether they could be restored."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import psycopg

from entasis_db.backups.base import place
from entasis_db.backups.base.manifest import BaseBackup
from entasis_db.backups.base.place import Place, read_place
from entasis_db.backups.base.source import system_identifier
from entasis_db.backups.findings import Finding, Schedule
from entasis_db.backups.noting import noted, told
from entasis_db.cursors import execute
from entasis_db.errors import BackupError, StoreError
from entasis_db.own_session import require_own_session
from entasis_db.store import Store

_AGAIN = "Take a full backup now: entasis backup --full"


@dataclass(frozen=True)
class PlaceReport:
    """What there is of base backups, and what is wrong with it."""

    checked_at: datetime
    """When it was looked; UTC."""
    place: str
    """Where they lie."""
    backups: tuple[BaseBackup, ...]
    """Those that were finished, the oldest first."""
    verified: bool
    """Whether every object was read and compared with its checksum."""
    findings: tuple[Finding, ...]
    """What is wrong; empty where all is as it should be."""

    def last(self, kind: Literal["full", "any"]) -> BaseBackup | None:
        """Return the newest backup that is a full one, or the newest of any kind."""
        return _last(self.backups, kind)

    def detail(self) -> dict[str, Any]:
        """Return what is kept of it in the log of runs; it can be written as JSON."""
        return {
            "place": self.place,
            "verified": self.verified,
            "last": {
                kind: found and told(found, self.checked_at)
                for kind, found in (("full", self.last("full")), ("any", self.last("any")))
            },
            "backups": len(self.backups),
            "bytes": sum(one.stored for one in self.backups),
            "findings": [{"code": one.code, "text": str(one)} for one in self.findings],
        }


def _last(backups: tuple[BaseBackup, ...], kind: Literal["full", "any"]) -> BaseBackup | None:
    return next((b for b in reversed(backups) if kind in ("any", b.kind)), None)


def check_place(
    connection: psycopg.Connection[Any],
    store: Store,
    schedule: Schedule | None = None,
    *,
    verify: bool = False,
    session_pooler: bool = False,
) -> PlaceReport:
    """Judge the base backups in a store, of the server that ``connection`` leads to.

    Notes the run in entasis.runs; as failed, if anything was found. ``connection`` is in autocommit
    mode and belongs to a member of entasis_admin. With ``verify`` every object is read, which takes
    as long as to download it. ``session_pooler`` says that a pooler in front keeps a session for
    each client.

    Raises SessionError behind any other pooler and on a replica, psycopg.Error when the server
    refuses. A store that cannot be read is a finding.
    """
    require_own_session(connection, "backup check", session_pooler=session_pooler)

    def judge() -> PlaceReport:
        # (that this run has begun has closed those whose session is gone)
        ((running,),) = execute(
            connection,
            "SELECT EXISTS (SELECT FROM entasis.runs AS r WHERE r.outcome IS NULL"
            " AND r.action OPERATOR(pg_catalog.=) 'backup')",
        )
        server = system_identifier(connection)
        return judged_place(store, schedule, server=server, running=running, verify=verify)

    return noted(connection, judge)


def judged_place(
    store: Store,
    schedule: Schedule | None = None,
    *,
    server: str | None = None,
    running: bool = False,
    verify: bool = False,
) -> PlaceReport:
    """Judge base backups without a server; ``server`` is its system identifier, if it is known.

    ``running`` says that a backup is being taken now, so that one may well be unfinished.
    """
    now = datetime.now(UTC)
    schedule = schedule or Schedule()
    try:
        there = read_place(store)
        backups = tuple(there.backups.values())
        findings = [
            *_ages(backups, schedule, now),
            *_left(there, running),
            *_chains(there),
            *_strangers(there, server),
            *(_altered(there) if verify else ()),
        ]
    except StoreError as error:
        remedy = "Is it there, and may this user read it? Backups fail too while it is not"
        backups, findings = (), [Finding("unreachable", str(error), remedy)]
    return PlaceReport(now, store.location, backups, verify, tuple(findings))


def _ages(backups: tuple[BaseBackup, ...], schedule: Schedule, now: datetime) -> Iterator[Finding]:
    kinds: tuple[tuple[Literal["full", "any"], str, timedelta | None], ...] = (
        ("full", "full backup", schedule.full),
        ("any", "backup", schedule.any),
    )
    for kind, what, most in kinds:
        if most is None:
            continue
        found = _last(backups, kind)
        how = "entasis backup --full" if kind == "full" else "entasis backup"
        remedy = f"Take one ({how}), and see what became of the last: entasis runs --action backup"
        if found is None:
            yield Finding(f"no {what}", f"there is no {what}", remedy)
        elif (age := now - found.ended_at) > most:
            said = f"the last {what}, {found.label}, is {_hours(age)} old, more than {_hours(most)}"
            yield Finding(f"late {what}", said, remedy)


def _hours(age: timedelta) -> str:
    return f"{age / timedelta(hours=1):.1f} h"


def _left(there: Place, running: bool) -> Iterator[Finding]:
    for label in () if running else there.unfinished:
        yield Finding(
            "unfinished",
            f"backup {label} was begun and not finished, or was half deleted",
            "entasis runs --action backup says why; the next entasis backup deletes it",
        )
    for label, why in there.unreadable.items():
        said = f"the manifest of backup {label} cannot be read: {why}"
        yield Finding("manifest", said, _AGAIN)


def _chains(there: Place) -> Iterator[Finding]:
    for one in there.backups.values():
        if one.parent is not None and one.parent not in there.backups:
            said = f"backup {one.label} cannot be restored: it needs {one.parent}, which is gone"
            yield Finding("no parent", said, _AGAIN)
        for name, fault in there.faults(one):
            said = f"{name} of backup {one.label} {fault}"
            yield Finding("missing" if "missing" in fault else "size", said, _AGAIN)


def _strangers(there: Place, server: str | None) -> Iterator[Finding]:
    for one in there.backups.values():
        if server is not None and one.system_identifier != server:
            yield Finding(
                "another server",
                f"backup {one.label} is of another server (system identifier"
                f" {one.system_identifier}, and this one has {server})",
                "Name a place of its own for each server, and for one that was made anew",
            )


def _altered(there: Place) -> Iterator[Finding]:
    """Read everything whose size is right, and find what is not what was written."""
    with tempfile.TemporaryDirectory(prefix="entasis-") as folder:
        file = Path(folder) / "object"
        for one in there.backups.values():
            faulty = {name for name, _ in there.faults(one)}
            for stored in one.objects:
                if stored.name in faulty:
                    continue
                try:
                    place.fetch(there.store, one, stored, file)
                except BackupError:
                    said = f"{stored.name} of backup {one.label} is not what was written there"
                    yield Finding("altered", said, _AGAIN)
