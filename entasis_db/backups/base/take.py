"""Taking a backup with pg_basebackup: a full one, or what has changed since the last."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import psycopg

from entasis_db import __version__
from entasis_db.backups.base import place
from entasis_db.backups.base.manifest import BaseBackup, StoredObject
from entasis_db.backups.base.place import Place, read_place
from entasis_db.backups.base.programs import find_programs, no_traceback, run
from entasis_db.backups.base.retention import expire
from entasis_db.backups.base.scratch import scratch
from entasis_db.backups.base.source import Source, source
from entasis_db.cursors import execute
from entasis_db.errors import BackupError, StoreError
from entasis_db.libpq import dsn_of, libpq
from entasis_db.own_session import require_own_session
from entasis_db.runs import recorded
from entasis_db.store import Store

Progress = Callable[[str], None]
Kind = Literal["full", "incremental"]

_PARENT = "backup_manifest"
_MOMENT = "%Y%m%dT%H%M%SZ"
# pg_basebackup's, in the language C: the server does not want this incremental backup
_REFUSED = "could not initiate base backup"


@dataclass(frozen=True)
class Taken:
    """A backup that was taken."""

    backup: BaseBackup
    """What there is of it."""
    because: str
    """Why it is a full one, or since which backup it has the changes."""
    deleted: tuple[str, ...]
    """Labels of backups that were deleted, as more full ones than are to be kept are there."""


def take_backup(
    connection: psycopg.Connection[Any],
    store: Store,
    *,
    full: bool = False,
    full_after: timedelta = timedelta(days=7),
    keep_fulls: int | None = None,
    bindir: Path | None = None,
    progress: Progress = lambda _: None,
    session_pooler: bool = False,
) -> Taken:
    """Back the server up that ``connection`` leads to, all its databases, and note it in the runs.

    It is a full backup if ``full`` is asked for, there is none yet, the last one is older than
    ``full_after``, or the last backup cannot be gone on with; else an incremental one, which has
    what changed since the last. With ``keep_fulls``, full backups beyond so many are deleted, with
    the incremental ones that need them. ``connection`` is in autocommit mode; its login is a member
    of entasis_admin, and has the attribute REPLICATION. ``bindir`` has pg_basebackup, which is
    found otherwise. ``session_pooler`` says that a pooler in front keeps a session for each client.

    Raises BackupError when the server cannot be backed up, StoreError when the store fails,
    SessionError behind any other pooler and on a replica, psycopg.Error when the server refuses.
    Nothing half is left then that could be taken for a backup.
    """
    require_own_session(connection, "backup", session_pooler=session_pooler)
    with recorded(connection, "backup") as (number, detail), _alone(connection):
        asked = source(connection, number)
        programs = find_programs(asked.server_version // 10000, bindir)
        progress("looking at what is there")
        there = read_place(store)
        _refuse_another(there, asked)
        for left in there.unfinished:
            place.delete(store, left)
        parent, because = _parent(connection, there, full, full_after)
        moment = _next_moment(there)
        with no_traceback("the backup could not be taken"), scratch() as folder:
            backup, because = _take(
                connection, store, asked, programs, folder, moment, parent, because, progress
            )
        deleted = () if keep_fulls is None else expire(read_place(store), keep_fulls)
        detail.update(
            label=backup.label, kind=backup.kind, because=because, bytes=backup.stored,
            place=store.location, deleted=list(deleted),
        )  # fmt: skip
        return Taken(backup, because, deleted)


@contextmanager
def _alone(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Let one backup be taken at a time: another would take its objects for a dead one's."""
    ((holder,),) = execute(connection, "SELECT entasis_internal.take_lease('backup')")
    if holder is not None:
        raise BackupError(f"another backup is being taken ({holder}); wait for its end")
    try:
        yield
    finally:
        if not connection.closed:
            execute(connection, "SELECT entasis_internal.release_lease('backup')")


def _refuse_another(there: Place, asked: Source) -> None:
    for one in there.backups.values():
        if one.system_identifier != asked.system_identifier:
            raise BackupError(
                f"backup {one.label} there is of another server (system identifier"
                f" {one.system_identifier}, and this one has {asked.system_identifier}): name a"
                " place of its own for each server, and for one that was made anew"
            )


def _parent(
    connection: psycopg.Connection[Any], there: Place, full: bool, full_after: timedelta
) -> tuple[BaseBackup | None, str]:
    """Choose the backup to go on with, or none, and say why."""
    last = there.newest()
    if full:
        return None, "it was asked for"
    if last is None:
        return None, "there is none yet"
    if not there.is_intact(last):
        return None, f"the last backup, {last.label}, is not whole (entasis backup check)"
    age = datetime.now(UTC) - there.chain(last)[0].started_at
    if age >= full_after:
        return None, f"the last full one is {age.days} days old"
    # A server that was restored, by whatever means, may have another history from some moment of
    # the last backup on, under the same timeline: what changed since is not all that differs.
    known = execute(
        connection,
        "SELECT FROM entasis.runs AS r WHERE r.id OPERATOR(pg_catalog.=) %s"
        " AND r.started_at OPERATOR(pg_catalog.=) %s"
        " AND r.outcome OPERATOR(pg_catalog.=) 'done'",
        last.run,
        last.run_started_at,
    )
    if not known:
        return None, f"this server does not know the end of {last.label}: it was restored"
    return last, f"changes since {last.label}"


def _take(
    connection: psycopg.Connection[Any],
    store: Store,
    asked: Source,
    programs: Path,
    folder: Path,
    moment: str,
    parent: BaseBackup | None,
    because: str,
    progress: Progress,
) -> tuple[BaseBackup, str]:
    """Take the backup and store it; a full one, where the server refuses the incremental one."""
    call = _Call(programs / "pg_basebackup", dsn_of(connection), progress)
    started = datetime.now(UTC)
    made = folder / "incremental"
    try:
        if parent is not None:
            progress(f"taking an incremental backup: {because}")
            before = folder / _PARENT
            place.fetch(store, parent, _object(parent, _PARENT), before)
            call(f"--pgdata={made}", f"--incremental={before}")
    except BackupError as error:
        if _REFUSED not in str(error):
            raise
        because = f"the server refused an incremental one ({error})"
        parent = None
    if parent is None:
        progress(f"taking a full backup: {because}")
        made = folder / "full"
        call(f"--pgdata={made}")
    backup = _described(made, asked, moment, parent, started)
    _store(store, backup, made, progress)
    return backup, because


# WAL is streamed along, so that a backup needs nothing but its parents
_OPTIONS = (
    "--format=tar",
    "--compress=client-gzip:1",
    "--wal-method=stream",
    "--checkpoint=fast",
    "--progress",
    "--no-sync",
    "--label=entasis backup",
)


@dataclass(frozen=True)
class _Call:
    """How pg_basebackup is called."""

    program: Path
    dsn: str
    progress: Progress

    def __call__(self, *arguments: str) -> None:
        with libpq(self.dsn) as (environment, conninfo):
            way = (f"--dbname={conninfo}", "--no-password")
            run([self.program, *_OPTIONS, *arguments, *way], env=environment, heard=self._heard)

    def _heard(self, text: str) -> None:
        if percents := re.findall(r"\((\d+)%\)", text):
            self.progress(f"pg_basebackup: {percents[-1]} %")


def _object(backup: BaseBackup, name: str) -> StoredObject:
    return next(one for one in backup.objects if one.name == name)


def _next_moment(there: Place) -> str:
    """Return how the next label begins: now, or after the last one if the clock says otherwise."""
    known = max((key[:16] for key in there.sizes), default="")
    moment = datetime.now(UTC)
    if known >= f"{moment:{_MOMENT}}":
        moment = datetime.strptime(known, _MOMENT).replace(tzinfo=UTC) + timedelta(seconds=1)
    return f"{moment:{_MOMENT}}"


def _described(
    folder: Path,
    asked: Source,
    moment: str,
    parent: BaseBackup | None,
    started: datetime,
) -> BaseBackup:
    """Describe what pg_basebackup has made."""
    theirs = json.loads((folder / _PARENT).read_text(encoding="utf-8"))
    identifier = str(theirs["System-Identifier"])
    if identifier != asked.system_identifier:
        raise BackupError(
            "pg_basebackup reached another server than this connection: name one host in the"
            " connection string"
        )
    ranges = theirs["WAL-Ranges"]
    kind: Kind = "full" if parent is None else "incremental"
    return BaseBackup(
        label=f"{moment}-{kind}",
        kind=kind,
        parent=None if parent is None else parent.label,
        system_identifier=identifier,
        server_version=asked.server_version,
        timeline=ranges[-1]["Timeline"],
        start_lsn=ranges[0]["Start-LSN"],
        stop_lsn=ranges[-1]["End-LSN"],
        started_at=started,
        ended_at=datetime.now(UTC),
        size=sum(file["Size"] for file in theirs["Files"]),
        engine=asked.engine,
        release=__version__,
        run=asked.run,
        run_started_at=asked.run_started_at,
        objects=tuple(
            StoredObject(file.name, file.stat().st_size, place.sha256(file))
            for file in sorted(folder.iterdir())
        ),
    )


def _store(store: Store, backup: BaseBackup, folder: Path, progress: Progress) -> None:
    """Store its objects, see that they are there, and only then say that it is a backup."""
    try:
        for one in backup.objects:
            progress(f"storing {one.name}, {one.bytes:,} bytes")
            store.put(place.key_of(backup.label, one.name), folder / one.name)
        place.finish(store, backup, folder)
    except BaseException:
        with suppress(StoreError):
            place.delete(store, backup.label)
        raise
