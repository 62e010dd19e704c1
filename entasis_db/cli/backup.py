"""Commands for backups of the whole server."""

import json
import shlex
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import click
import psycopg
from rich.table import Table

from entasis_db.backups import BackupReport, Finding, PgBackRest, Schedule, base, check_backups
from entasis_db.backups.base.source import summarize
from entasis_db.backups.check import judged
from entasis_db.cli import arguments
from entasis_db.cli.exit_codes import ExitCode
from entasis_db.cli.output import complain, fail, minute, note, print_whole, step, when
from entasis_db.cli.output.rows import Form, Shape, prints, rows_of, show
from entasis_db.cli.progress import backing_up
from entasis_db.cli.root import Group, explained
from entasis_db.cli.target import Target, Use
from entasis_db.embedded import embedded_cluster
from entasis_db.store import Store, open_store

_BACKUPS = Shape(
    "entasis_db.backups.base.BaseBackup",
    (
        *("label", "kind", "parent", "server_version", "timeline", "started_at", "ended_at"),
        *("size", "stored", "engine", "release", "is_intact"),
    ),
)
_FINDINGS = rows_of(Finding, as_table=False)
PLACE = "URL of the place: s3://BUCKET/PREFIX[?endpoint_url=...] or file:///FOLDER."
_VARIABLE = "ENTASIS_BACKUP_URL"
_from = click.option("--from", "url", envvar=_VARIABLE, show_envvar=True, help=PLACE)
_bindir = click.option(
    "--programs",
    "bindir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of PostgreSQL's programs. Default: found, in the version of the server.",
)


@click.group(cls=Group, invoke_without_command=True)
@click.option("--to", "url", envvar=_VARIABLE, show_envvar=True, help=PLACE)
@click.option("--full", is_flag=True, help="A full backup, whatever there is.")
@click.option(
    "--full-after",
    type=click.IntRange(1),
    default=7,
    show_default=True,
    help="Days after which the next backup is a full one.",
)
@click.option(
    "--keep-fulls",
    type=click.IntRange(1),
    help="Keep so many full backups and what goes with them. Default: nothing is deleted.",
)
@_bindir
@arguments.session_pooler
@click.pass_context
def backup(
    ctx: click.Context,
    url: str | None,
    full: bool,
    full_after: int,
    keep_fulls: int | None,
    bindir: Path | None,
    session_pooler: bool,
) -> None:
    """Back the whole server up by pg_basebackup: a full backup weekly, else what has changed.

    For small servers of PostgreSQL 17 and later, the embedded one among them. Others are backed up
    with pgBackRest, whose backups entasis backup check judges too.
    """
    if ctx.invoked_subcommand is not None:
        return
    target: Target = ctx.obj
    store = _store(url, "--to")
    with target.connect(Use.WRITES) as connection, backing_up() as progress:
        if target.cluster is not None and summarize(connection):
            note("summarize_wal is on from now on: the server notes which blocks change")
        if bindir is None and target.cluster is not None:
            bindir = target.cluster.bindir
        taken = base.take_backup(
            connection,
            store,
            full=full,
            full_after=timedelta(days=full_after),
            keep_fulls=keep_fulls,
            bindir=bindir,
            progress=progress,
            session_pooler=session_pooler,
        )
    made = taken.backup
    step(f"backup {made.label}: {made.stored:,} bytes stored ({taken.because})")
    for label in taken.deleted:
        step(f"backup {label} deleted")


def _store(url: str | None, option: str) -> Store:
    if not url:
        fail(f"where are the backups? Name it with {option} or in {_VARIABLE}", ExitCode.USAGE)
    return open_store(url)


@backup.command(name="list")
@_from
@prints(_BACKUPS)
def list_backups(url: str | None, form: Form) -> None:
    """List the backups that entasis backup has taken."""
    there = base.read_place(_store(url, "--from"))
    found = [
        {name: getattr(one, name, None) for name in _BACKUPS.names}
        | {"is_intact": there.is_intact(one)}
        for one in there.backups.values()
    ]
    show(form, _BACKUPS, found, lambda: print_whole(_table(found)), "there is no finished backup")


def _table(found: list[dict[str, Any]]) -> Table:
    table = Table("backup", "ended (UTC)", "PostgreSQL")
    table.add_column("bytes stored", justify="right")
    table.add_column("unpacked", justify="right")
    table.add_column("needs")
    for one in found:
        state = one["parent"] or "" if one["is_intact"] else "not whole: entasis backup check"
        table.add_row(
            one["label"],
            minute(one["ended_at"]),
            str(one["server_version"] // 10000),
            f"{one['stored']:,}",
            f"{one['size']:,}",
            state,
        )
    return table


@click.command(name="restore-backup")
@_from
@click.option("--backup", "label", help="Which backup. Default: the last one.")
@click.option(
    "--into", type=click.Path(path_type=Path), help="A new or empty folder, for its data folder."
)
@click.option(
    "--embedded",
    is_flag=True,
    help="Into the embedded server of this checkout. It is stopped; its data is moved aside.",
)
@_bindir
def restore_backup(
    url: str | None, label: str | None, into: Path | None, embedded: bool, bindir: Path | None
) -> None:
    """Make a server's data folder of a backup that entasis backup has taken.

    No server is asked. All that is fetched is compared with its checksums, and archive_mode is off
    in what is made.
    """
    if (into is None) == (not embedded):
        fail("where to? Name a folder with --into, or say --embedded", ExitCode.USAGE)
    store = _store(url, "--from")
    made: list[base.RestoredBackup] = []
    with backing_up() as progress:
        cluster = embedded_cluster() if embedded else None

        def restore(folder: Path) -> None:
            programs = bindir or (None if cluster is None else cluster.bindir)
            made.append(
                base.restore_backup(store, folder, label=label, bindir=programs, progress=progress)
            )

        former = None
        if cluster is not None:
            former = cluster.adopt(restore)
        elif into is not None:
            restore(into)
    (restored,) = made
    of = " and ".join(restored.chain)
    if cluster is not None:
        step(f"the embedded server in {cluster.home} has the data of {of}")
        if former is not None:
            step(f"its data until now is in {former}: delete it when you need it no more")
        step("next: entasis start, and entasis check")
        return
    step(f"{restored.folder} has the data of {of}; archive_mode is off in it")
    who = [] if restored.owner is None else ["runuser", "-u", restored.owner.name, "--"]
    command = [*who, str(restored.programs / "pg_ctl"), "-D", str(restored.folder)]
    step(f"next: {shlex.join([*command, '-o', '-p 5433', '-w', 'start'])}")
    if not (restored.folder / "postgresql.conf").exists():
        note("its postgresql.conf lay elsewhere and is no part of it: put one there first")


@backup.command()
@click.option(
    "--from",
    "url",
    envvar=_VARIABLE,
    show_envvar=True,
    help=f"Those of entasis backup instead. {PLACE}",
)
@click.option(
    "--stanza",
    default="entasis",
    show_default=True,
    envvar="PGBACKREST_STANZA",
    help="The name under which pgBackRest knows the server.",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="pgBackRest's configuration: a file, or a folder such as /etc/pgbackrest. Default: where "
    "it looks itself.",
)
@click.option(
    "--pgbackrest",
    "program",
    default="pgbackrest",
    show_default=True,
    envvar="ENTASIS_PGBACKREST",
    show_envvar=True,
    help='How it is called, such as "docker exec -u postgres NAME pgbackrest".',
)
@click.option(
    "--full-days",
    type=click.IntRange(0),
    default=8,
    show_default=True,
    help="How old the last full backup may be; 0: there need be none.",
)
@click.option(
    "--hours",
    type=click.IntRange(0),
    default=26,
    show_default=True,
    help="How old the last backup of any kind may be; 0: there need be none.",
)
@click.option(
    "--monthly-days",
    type=click.IntRange(0),
    default=33,
    show_default=True,
    help="How old the last one annotated with kind=monthly may be; 0: there need be none.",
)
@click.option(
    "--wal-minutes",
    type=click.IntRange(1),
    default=15,
    show_default=True,
    help="How long a segment of WAL may wait to be archived.",
)
@click.option("--verify", is_flag=True, help="Read every file and compare it with its checksum.")
@prints(_FINDINGS)
@arguments.session_pooler
@click.pass_obj
def check(
    target: Target,
    url: str | None,
    stanza: str,
    config: Path | None,
    program: str,
    full_days: int,
    hours: int,
    monthly_days: int,
    wal_minutes: int,
    verify: bool,
    session_pooler: bool,
    form: Form,
) -> None:
    """Judge the backups of the server, and note it in entasis.runs.

    Those that pgBackRest has taken, or with --from those of entasis backup. Each finding is a line
    that says what to do. The exit code is 6 if there is one.
    """
    schedule = Schedule(
        full=timedelta(days=full_days) or None,
        any=timedelta(hours=hours) or None,
        monthly=timedelta(days=monthly_days) or None,
        waiting=timedelta(minutes=wal_minutes),
    )
    judge: _Judge
    if url:
        judge = _OfPlace(open_store(url))
    else:
        judge = _OfPgBackRest(PgBackRest(stanza, config, tuple(shlex.split(program))))
    report: _Report
    try:
        with target.connect(Use.WRITES) as connection:
            report = judge.with_server(connection, schedule, verify, session_pooler)
    except psycopg.OperationalError as error:
        # at four in the morning, what the repositories have is wanted all the same
        report = judge.alone(schedule, verify)
        complain(explained(error))
        complain("the server could not be asked, and the check is not in entasis.runs")
        _show(report, form)
        sys.exit(ExitCode.BACKUPS_FAULTY if report.findings else ExitCode.FAILED)
    _show(report, form)
    if report.findings:
        sys.exit(ExitCode.BACKUPS_FAULTY)


_Report = BackupReport | base.PlaceReport


class _Judge(Protocol):
    """Judges the backups of one kind."""

    def with_server(
        self, connection: psycopg.Connection[Any], schedule: Schedule, verify: bool, pooler: bool
    ) -> _Report:
        """Judge them, and ask the server, which notes it."""

    def alone(self, schedule: Schedule, verify: bool) -> _Report:
        """Judge them without a server."""


@dataclass(frozen=True)
class _OfPgBackRest:
    program: PgBackRest

    def with_server(
        self, connection: psycopg.Connection[Any], schedule: Schedule, verify: bool, pooler: bool
    ) -> BackupReport:
        return check_backups(
            connection, self.program, schedule, verify=verify, session_pooler=pooler
        )

    def alone(self, schedule: Schedule, verify: bool) -> BackupReport:
        return judged(self.program, None, schedule, verify=verify)


@dataclass(frozen=True)
class _OfPlace:
    store: Store

    def with_server(
        self, connection: psycopg.Connection[Any], schedule: Schedule, verify: bool, pooler: bool
    ) -> base.PlaceReport:
        return base.check_place(
            connection, self.store, schedule, verify=verify, session_pooler=pooler
        )

    def alone(self, schedule: Schedule, verify: bool) -> base.PlaceReport:
        return base.judged_place(self.store, schedule, verify=verify)


def _show(report: _Report, form: Form) -> None:
    if form is Form.JSON:
        click.echo(json.dumps({"checked_at": report.checked_at.isoformat(), **report.detail()}))
        return
    show(form, _FINDINGS, report.findings, lambda: _tell(report))


def _tell(report: _Report) -> None:
    for one in report.findings:
        step(str(one))
    if report.findings:
        return
    last, full = report.last("any"), report.last("full")
    for what, found in (("backup", last), ("full backup", full)):
        if found is not None:
            step(f"the last {what}, {found.label}, ended {when(found.ended_at)}")
    step("the backups are as they should be")
