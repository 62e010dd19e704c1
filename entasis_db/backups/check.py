"""Looks at all that a recovery would need, and judges it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg

from entasis_db.backups.archiver import Archiver, archiver, judge_archiver
from entasis_db.backups.findings import Finding, Schedule
from entasis_db.backups.noting import noted
from entasis_db.backups.pgbackrest import PgBackRest, Stanza
from entasis_db.backups.report import BackupReport
from entasis_db.backups.repositories import judge_ages, judge_repository
from entasis_db.backups.segments import whole
from entasis_db.own_session import require_own_session

_SEGMENT_BYTES = 2**24


def check_backups(
    connection: psycopg.Connection[Any],
    program: PgBackRest,
    schedule: Schedule | None = None,
    *,
    verify: bool = False,
    session_pooler: bool = False,
) -> BackupReport:
    """Judge the backups of the server that ``connection`` leads to.

    Notes the run in entasis.runs; as failed, if anything was found. ``connection`` is in autocommit
    mode and belongs to a member of entasis_admin. With ``verify`` every file is read, which takes
    as long as a restore. ``session_pooler`` says that a pooler in front keeps a session for each
    client.

    Raises BackupError when pgBackRest cannot be run, SessionError behind any other pooler and on a
    replica, psycopg.Error when the server refuses.
    """
    require_own_session(connection, "backup check", session_pooler=session_pooler)
    return noted(
        connection,
        lambda: judged(program, archiver(connection), schedule or Schedule(), verify=verify),
    )


def judged(
    program: PgBackRest, found: Archiver | None, schedule: Schedule, *, verify: bool
) -> BackupReport:
    """Judge the backups without a server; ``found`` is what it said, if it could be asked.

    Raises BackupError when pgBackRest cannot be run.
    """
    now = datetime.now(UTC)
    stanza = program.info()
    size = _SEGMENT_BYTES if found is None else found.segment_bytes
    findings = list(judge_ages(stanza, schedule, now))
    for one in stanza.repositories:
        findings += judge_repository(program, one, size, running=stanza.is_running, verify=verify)
    if found is not None:
        findings += judge_archiver(found, schedule, now)
        findings += _behind(stanza, found)
    return BackupReport(
        now,
        program.stanza,
        stanza.repositories,
        found,
        stanza.is_running,
        verify,
        tuple(findings),
    )


def _behind(stanza: Stanza, found: Archiver) -> Iterator[Finding]:
    """Find repositories that lack what the server takes for archived."""
    last = whole(found.last_segment)
    for one in stanza.repositories:
        if last is not None and one.is_readable and (one.last_segment or "") < last:
            yield Finding(
                "missing WAL",
                f"its last segment of WAL is {one.last_segment}, and the server counts {last} as"
                " archived",
                "Does archive_command call pgbackrest archive-push with this configuration? Take a"
                " full backup when it does",
                one.key,
            )
