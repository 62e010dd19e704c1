"""The command that a scheduler calls daily."""

import sys

import click

from entasis_db import maintenance
from entasis_db.cli import arguments
from entasis_db.cli.exit_codes import ExitCode
from entasis_db.cli.output import minute, note, step
from entasis_db.cli.target import Target


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would be dropped and why; change nothing.")
@arguments.session_pooler
@click.pass_obj
def maintain(target: Target, dry_run: bool, session_pooler: bool) -> None:
    """Do what has to happen daily: partitions ahead, drops past the keep period, statistics.

    Nothing is dropped without a verified archive (entasis archive), unless archived is false for
    its relation in entasis.keep_periods.
    """
    with target.connect() as connection:
        if dry_run:
            _show(maintenance.maintenance_plan(connection))
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


def _show(planned: list[maintenance.PlannedDrop]) -> None:
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
