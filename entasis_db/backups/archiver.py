"""Whether WAL leaves the server: what its archiver says, and what waits for it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg

from entasis_db.backups.findings import Finding, Schedule
from entasis_db.backups.segments import number, whole
from entasis_db.cursors import execute

_ARCHIVER = """
SELECT
    pg_catalog.current_setting('archive_mode'),
    t.setting::pg_catalog.int4,
    s.setting::pg_catalog.int8,
    a.last_archived_wal, a.last_archived_time, a.failed_count, a.last_failed_wal,
    a.last_failed_time,
    pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()),
    pg_catalog.has_function_privilege('pg_catalog.pg_ls_archive_statusdir()', 'EXECUTE')
FROM pg_catalog.pg_stat_archiver AS a, pg_catalog.pg_settings AS t, pg_catalog.pg_settings AS s
WHERE t.name OPERATOR(pg_catalog.=) 'archive_timeout'
    AND s.name OPERATOR(pg_catalog.=) 'wal_segment_size'
"""
_READY = """
SELECT pg_catalog.count(*), pg_catalog.min(f.modification)
FROM pg_catalog.pg_ls_archive_statusdir() AS f
WHERE f.name OPERATOR(pg_catalog.~) '[.]ready$'
"""


@dataclass(frozen=True)
class Archiver:
    """How far the archiving of WAL has come."""

    mode: str
    """archive_mode: off, on or always."""
    timeout: int
    """archive_timeout, in seconds; 0: a segment is archived when it is full."""
    segment_bytes: int
    """Bytes of a segment of WAL."""
    last_segment: str | None
    """The last one that was archived, or a file that goes with one. None: none was since the
    statistics were reset."""
    last_at: datetime | None
    """When that was; UTC."""
    failures: int
    """How often archive_command has failed."""
    failed_segment: str | None
    """The last one for which it failed."""
    failed_at: datetime | None
    """When that was; UTC."""
    current_segment: str
    """The one that is written now."""
    waiting: int | None
    """Segments that wait for the archiver. None: this login may not see them."""
    waiting_since: datetime | None
    """When the oldest of them was full; UTC. None: none waits, or this login may not see them."""


def archiver(connection: psycopg.Connection[Any]) -> Archiver:
    """Read how far archiving has come; ``connection`` leads to a primary.

    What waits is seen by a superuser and by members of pg_monitor. Raises psycopg.Error when the
    server refuses.
    """
    ((*found, may_look),) = execute(connection, _ARCHIVER)
    ((waiting, since),) = execute(connection, _READY) if may_look else [(None, None)]
    mode, timeout, size, last, last_at, failures, failed, failed_at, current = found
    return Archiver(
        mode,
        timeout,
        size,
        last,
        _utc(last_at),
        failures,
        failed,
        _utc(failed_at),
        current,
        waiting,
        _utc(since),
    )


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)


def judge_archiver(found: Archiver, schedule: Schedule, now: datetime) -> Iterator[Finding]:
    """Find what keeps WAL on the server."""
    if found.mode == "off":
        yield Finding(
            "archive_mode",
            "archive_mode is off: what was written since the last backup would be lost",
            "Set archive_mode = on and archive_command, and restart the server"
            " (backup/pgbackrest/postgresql.conf)",
        )
        return
    if found.timeout == 0:
        yield Finding(
            "archive_timeout",
            "archive_timeout is 0: on a quiet market what was written last is not archived",
            "Set archive_timeout = '60s' (backup/pgbackrest/postgresql.conf)",
        )
    if found.failed_at and (found.last_at is None or found.failed_at > found.last_at):
        yield Finding(
            "archiving fails",
            f"archive_command fails since {found.failed_segment} ({found.failures} times)",
            "The server's log says why; while it fails, pg_wal grows and nothing new can be"
            " recovered",
        )
    waiting, since = found.waiting, found.waiting_since
    if waiting is None:
        # without the right to look: what lies between the archived and the current one
        last = whole(found.last_segment)
        if last is not None and last[:8] == found.current_segment[:8]:
            behind = number(found.current_segment, found.segment_bytes)
            waiting = behind - number(last, found.segment_bytes) - 1
        since = found.last_at if waiting else None
    late = since is not None and now - since > schedule.waiting
    if waiting and (late or waiting > schedule.most_waiting):
        oldest = "" if since is None else f", the oldest since {since:%Y-%m-%d %H:%M:%S} UTC"
        yield Finding(
            "WAL waits",
            f"{waiting} segments of WAL wait to be archived{oldest}",
            "Is every repository reachable, and has it space? One that is away holds up all of"
            " them, and archive_command may not have failed yet: pgbackrest check says more",
        )
