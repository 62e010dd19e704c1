"""Commands for backups of the whole server."""

import json
import shlex
import sys
from datetime import timedelta
from pathlib import Path

import click
import psycopg

from entasis_db.backups import BackupReport, PgBackRest, Schedule, check_backups
from entasis_db.backups.check import judged
from entasis_db.cli import arguments
from entasis_db.cli.exit_codes import ExitCode
from entasis_db.cli.output import complain, step, when
from entasis_db.cli.root import Group, explained
from entasis_db.cli.target import Target


@click.group(cls=Group)
def backup() -> None:
    """Look after backups of the whole server."""


@backup.command()
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
@click.option("--json", "as_json", is_flag=True, help="As JSON, an object.")
@arguments.session_pooler
@click.pass_obj
def check(
    target: Target,
    stanza: str,
    config: Path | None,
    program: str,
    full_days: int,
    hours: int,
    monthly_days: int,
    wal_minutes: int,
    verify: bool,
    as_json: bool,
    session_pooler: bool,
) -> None:
    """Judge the backups that pgBackRest has taken of the server, and note it in entasis.runs.

    Each finding is a line that says what to do. The exit code is 6 if there is one.
    """
    called = PgBackRest(stanza, config, tuple(shlex.split(program)))
    schedule = Schedule(
        full=timedelta(days=full_days) or None,
        any=timedelta(hours=hours) or None,
        monthly=timedelta(days=monthly_days) or None,
        waiting=timedelta(minutes=wal_minutes),
    )
    try:
        with target.connect() as connection:
            report = check_backups(
                connection, called, schedule, verify=verify, session_pooler=session_pooler
            )
    except psycopg.OperationalError as error:
        # at four in the morning, what the repositories have is wanted all the same
        report = judged(called, None, schedule, verify=verify)
        complain(explained(error))
        complain("the server could not be asked, and the check is not in entasis.runs")
        _show(report, as_json=as_json)
        sys.exit(ExitCode.BACKUPS_FAULTY if report.findings else ExitCode.FAILED)
    _show(report, as_json=as_json)
    if report.findings:
        sys.exit(ExitCode.BACKUPS_FAULTY)


def _show(report: BackupReport, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"checked_at": report.checked_at.isoformat(), **report.detail()}))
        return
    for one in report.findings:
        step(str(one))
    if report.findings:
        return
    last, full = report.last("any"), report.last("full")
    for what, found in (("backup", last), ("full backup", full)):
        if found is not None:
            step(f"the last {what}, {found.label}, ended {when(found.ended_at)}")
    step("the backups are as they should be")
