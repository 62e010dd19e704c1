"""The command that a scheduler calls daily, and the one that lists what ran."""

import sys
from typing import get_args

import click
from rich.table import Table

from entasis_db import maintenance
from entasis_db import runs as log
from entasis_db.cli import arguments
from entasis_db.cli.exit_codes import ExitCode
from entasis_db.cli.output import fail, minute, note, print_whole, step
from entasis_db.cli.output.rows import Form, prints, rows_of, show
from entasis_db.cli.target import Target, Use

_PLANNED = rows_of(maintenance.PlannedDrop, "--dry-run", as_table=False)
_RUNS = rows_of(log.Run)


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would be dropped and why; change nothing.")
@prints(_PLANNED)
@arguments.session_pooler
@click.pass_obj
def maintain(target: Target, dry_run: bool, session_pooler: bool, form: Form) -> None:
    """Do what has to happen daily: partitions ahead, drops past the keep period, statistics.

    Nothing is dropped without a verified archive (entasis archive), unless archived is false for
    its relation in entasis.keep_periods.
    """
    if not dry_run and not form.for_people:
        fail("--json and --csv go with --dry-run", ExitCode.USAGE)
    with target.connect(Use.READS if dry_run else Use.WRITES) as connection:
        if dry_run:
            planned = maintenance.maintenance_plan(connection)
            show(form, _PLANNED, planned, lambda: _tell(planned))
            return
        maintenance.maintain(connection, progress=step, session_pooler=session_pooler)
        waiting = maintenance.left_over(connection)
    step("maintained")
    if waiting:
        note(
            f"{waiting} partitions past their keep period stay: they wait for an archive, or are "
            "in use. entasis maintain --dry-run says which"
        )
        sys.exit(ExitCode.LEFT_OVER)


def _tell(planned: list[maintenance.PlannedDrop]) -> None:
    for one in planned:
        since = "the beginning" if one.from_time is None else minute(one.from_time)
        step(
            f"{'would drop' if one.goes else 'would keep'} {one.partition} of {one.relation} "
            f"({since} to {minute(one.to_time)} UTC, {one.bytes or 0:,} bytes): {one.reason}"
        )
    going = [one for one in planned if one.goes]
    step(
        f"{len(going)} of {len(planned)} partitions past their keep period would be dropped, "
        f"{sum(one.bytes or 0 for one in going):,} bytes; nothing was changed"
    )


@click.command()
@click.option("--action", type=click.Choice(get_args(log.Action)), help="Only runs of this kind.")
@click.option("--limit", default=20, show_default=True, help="How many, the newest first.")
@prints(_RUNS)
@click.pass_obj
def runs(target: Target, action: log.Action | None, limit: int, form: Form) -> None:
    """List the last runs of what has to happen regularly, and how they ended."""
    with target.connect() as connection:
        found = log.runs(connection, action, limit)
    show(form, _RUNS, found, lambda: print_whole(_table(found)), "nothing has run yet")


def _table(found: list[log.Run]) -> Table:
    table = Table("id", "action", "started (UTC)", "took", "outcome", "detail")
    for run in found:
        table.add_row(
            str(run.id),
            run.action,
            minute(run.started_at),
            "" if run.ended_at is None else str(run.ended_at - run.started_at),
            run.outcome or "not ended",
            ", ".join(
                f"{key}: {value}"
                for key, value in run.detail.items()
                if not isinstance(value, dict | list)  # --json has them
            ),
        )
    return table
