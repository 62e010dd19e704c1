"""The command that lists what ran."""

import json
from typing import Any, get_args

import click
from rich.table import Table

from entasis_db import runs as log
from entasis_db.cli.output import minute, print_whole, step
from entasis_db.cli.target import Target


@click.command()
@click.option("--action", type=click.Choice(get_args(log.Action)), help="Only runs of this kind.")
@click.option("--limit", default=20, show_default=True, help="How many, the newest first.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, a list of objects.")
@click.pass_obj
def runs(target: Target, action: log.Action | None, limit: int, as_json: bool) -> None:
    """List the last runs of what has to happen regularly, and how they ended."""
    with target.connect() as connection:
        found = log.runs(connection, action, limit)
    if as_json:
        click.echo(json.dumps([_object(run) for run in found], ensure_ascii=False))
        return
    if not found:
        step("nothing has run yet")
        return
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
    print_whole(table)


def _object(run: log.Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "action": run.action,
        "started_at": run.started_at.isoformat(),
        "ended_at": None if run.ended_at is None else run.ended_at.isoformat(),
        "outcome": run.outcome,
        "detail": run.detail,
    }
