"""The command that shows the smile of an expiry."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import click
from rich.table import Table

from entasis_db import queries
from entasis_db.charts import of_smile
from entasis_db.cli import arguments
from entasis_db.cli.exit_codes import ExitCode
from entasis_db.cli.output import fail, minute, print_whole, when
from entasis_db.cli.output.rows import Form, prints, rows_of, show
from entasis_db.cli.pictures import files
from entasis_db.cli.target import Target

_POINTS = rows_of(queries.SmilePoint)


def _expiry(_ctx: click.Context, _param: click.Parameter, text: str) -> date:
    try:
        if len(text) == len("2024-08-30"):
            return date.fromisoformat(text)
        found = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{text!r} is no expiry; write 2024-08-30 or 2024-08-30T08:00 (UTC)", ExitCode.USAGE)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


@click.command()
@click.argument("underlying")
@click.argument("expires", metavar="EXPIRY", callback=_expiry)
@click.option(
    "--at", callback=arguments.moment, help="As known at this moment, UTC. Default: at present."
)
@click.option(
    "--max-age",
    type=click.FloatRange(min=0, min_open=True),
    default=24,
    show_default=True,
    metavar="HOURS",
    help="How old a quote may be.",
)
@prints(_POINTS)
@files.options
@click.pass_obj
def smile(
    target: Target,
    /,
    underlying: str,
    expires: date,
    at: datetime | None,
    max_age: float,
    form: Form,
    **paths: Path | None,
) -> None:
    """Show the implied volatilities of an expiry by strike, as a table or drawn."""
    moment = at or datetime.now(UTC)
    with target.connect() as connection:
        points = queries.iv_smile(underlying, expires, moment, timedelta(hours=max_age)).fetch(
            connection
        )
    if not points:
        fail(
            f"no implied volatility of {underlying} that expires on {expires:%Y-%m-%d} was quoted "
            f"in the {max_age:g} hours before {when(moment)}"
        )
    title = f"{underlying} {minute(points[0].expiry_date)}, as known at {minute(moment)} UTC"
    if any(paths.values()):
        files.save_all(of_smile(title, points), paths)
        return
    show(form, _POINTS, points, lambda: print_whole(_table(title, points)))


def _table(title: str, points: list[queries.SmilePoint]) -> Table:
    table = Table("expiry (UTC)", "type", title=title)
    for name in ("strike", "iv", "bid", "ask", "moneyness", "delta"):
        table.add_column(name, justify="right")
    for one in points:
        numbers = (one.strike_price, one.iv, one.bid_iv, one.ask_iv, one.moneyness, one.delta)
        table.add_row(
            minute(one.expiry_date),
            one.option_type,
            *("" if number is None else f"{number:f}" for number in numbers),
        )
    return table
