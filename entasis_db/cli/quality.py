"""The commands that tell what is missing, and what cannot be right."""

import json
import sys
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import click
from rich.table import Table

from entasis_db import quality
from entasis_db.cli import arguments
from entasis_db.cli.exit_codes import ExitCode
from entasis_db.cli.output import fail, note, print_whole, step
from entasis_db.cli.target import Target

_exchange = click.option("--exchange", help="Only the markets of this venue.")
_from_time = click.option("--from", "from_time", callback=arguments.moment, help="UTC, included.")
_to_time = click.option("--to", "to_time", callback=arguments.moment, help="UTC, not included.")
_as_json = click.option("--json", "as_json", is_flag=True, help="As JSON, a list of objects.")


@click.command()
@click.argument("symbol", required=False)
@_exchange
@_from_time
@_to_time
@click.option("--coverage", is_flag=True, help="How much of each market is stored instead.")
@_as_json
@click.pass_obj
def gaps(
    target: Target,
    symbol: str | None,
    exchange: str | None,
    from_time: datetime | None,
    to_time: datetime | None,
    coverage: bool,
    as_json: bool,
) -> None:
    """List which trades are missing: by their ids, or where a market was unusually silent.

    The exit code is 7 when something is missing.
    """
    arguments.check_range(from_time, to_time)
    asked = (symbol, exchange, from_time, to_time)
    with target.connect() as connection:
        covered = quality.coverage(*asked).fetch(connection)
        found: list[Any] = (
            covered if coverage else quality.gaps(*asked).fetch(connection) if covered else []
        )
    if not covered:
        fail(
            f"no market {' '.join(filter(None, (exchange, symbol)))} is on record: entasis markets "
            "lists them"
            if symbol or exchange
            else "no market is on record: nothing was loaded yet"
        )
    if as_json:
        click.echo(json.dumps([plain(one) for one in found], indent=1, ensure_ascii=False))
    elif coverage:
        print_whole(table_of(found))
    else:
        for one in found:
            step(_gap(one))
        if not found:
            step(f"nothing is missing, by what can be told of {len(covered)} markets")
    if lacking := sum(one.gaps for one in covered):
        trades = sum(one.missing or 0 for one in covered)
        note(f"{lacking} gaps, {trades:,} ids missing in those that ids tell")
        sys.exit(ExitCode.FOUND)


def plain(row: NamedTuple) -> dict[str, Any]:
    """Make JSON of a row: times and decimals as text, spans in seconds."""
    values: dict[str, Any] = {}
    for name, value in row._asdict().items():
        match value:
            case Decimal():
                values[name] = f"{value:f}"
            case datetime():
                values[name] = value.isoformat()
            case timedelta():
                values[name] = value.total_seconds()
            case _:
                values[name] = value
    return values


def table_of(rows: list[Any]) -> Table:
    """Make a table of rows, with their fields as headings."""
    table = Table(*rows[0]._fields)
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in plain(row).values()))
    return table


def _gap(one: quality.Gap) -> str:
    until = "now" if one.before_time is None else f"{one.before_time:%F %T.%f}"
    span = f"{one.exchange} {one.symbol} {one.after_time:%F %T.%f} to {until}"
    if one.kind == "ids":
        return f"{span}: ids {one.first_id} to {one.last_id} are missing ({one.missing:,})"
    return f"{span}: silence, and {one.usual} is usual"
