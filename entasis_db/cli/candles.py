"""The command that shows candles, as a table or drawn."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import psycopg
from rich.table import Table

from entasis_db import queries
from entasis_db.charts import of_candles
from entasis_db.cli import arguments
from entasis_db.cli.chart import draw
from entasis_db.cli.exit_codes import ExitCode
from entasis_db.cli.output import fail, minute, out, print_whole, step, when
from entasis_db.cli.output.rows import Form, prints, rows_of, show
from entasis_db.cli.pictures import files
from entasis_db.cli.target import Target
from entasis_db.queries.intervals import LENGTH

_CANDLES = rows_of(queries.Candle, more=["vwap"])
_FIRST_MOMENT = datetime(2009, 1, 1, tzinfo=UTC)


@click.command()
@click.argument("symbol")
@click.option("--exchange", required=True, help="The venue.")
@click.option("--interval", type=click.Choice(queries.INTERVALS), default="1h", show_default=True)
@click.option(
    "--from",
    "from_time",
    callback=arguments.moment,
    help="First bucket, UTC. Default: as far back as --last says.",
)
@click.option(
    "--to",
    "to_time",
    callback=arguments.moment,
    help="End, not included, UTC. Default: after the newest trade.",
)
@click.option(
    "--last",
    type=click.IntRange(1, 100_000),
    default=60,
    show_default=True,
    help="How many buckets, without --from.",
)
@click.option("--fill", is_flag=True, help="Show a flat candle where nothing was traded.")
@click.option("--draw", "drawn", is_flag=True, help="Draw them instead of a table.")
@prints(_CANDLES)
@files.options
@click.pass_obj
def candles(
    target: Target,
    /,
    symbol: str,
    exchange: str,
    interval: queries.Interval,
    from_time: datetime | None,
    to_time: datetime | None,
    last: int,
    fill: bool,
    drawn: bool,
    form: Form,
    **paths: Path | None,
) -> None:
    """Show the candles of a market, as a table or drawn."""
    with target.connect() as connection:
        end = to_time or _end(connection, symbol, exchange)
        if end <= _FIRST_MOMENT:
            fail(f"no trade of {symbol} on {exchange}: nothing from before 2009 is stored")
        # further back may be out of datetime's reach
        start = from_time or end - min(last * LENGTH[interval], end - _FIRST_MOMENT)
        if not start < end:
            fail(f"--to {when(end)} is not after --from {when(start)}", ExitCode.USAGE)
        found = queries.candles(symbol, exchange, interval, start, end, fill_gaps=fill).fetch(
            connection
        )
    if not found:
        fail(f"no trade of {symbol} on {exchange} from {when(start)} to {when(end)}")
    if from_time is None:
        found = found[-last:]  # months differ in length
    title = f"{exchange} {symbol} {interval}"
    if any(paths.values()):
        files.save_all(of_candles(title, found, interval), paths)
    elif drawn:
        step(title)
        # below it, the prompt needs a line
        out.print(draw(found, out.width, max(10, min(30, out.height - 2))))
    else:
        show(form, _CANDLES, found, lambda: print_whole(_table(title, found)))


def _end(connection: psycopg.Connection[Any], symbol: str, exchange: str) -> datetime:
    """Return the first moment after the newest trade."""
    newest = queries.latest_price(symbol, exchange).one(connection)
    if newest is None:
        fail(
            f"no trade of {symbol} on {exchange} is stored; "
            "entasis markets lists the markets there are"
        )
    return newest.timestamp + timedelta(microseconds=1)


def _table(title: str, found: list[queries.Candle]) -> Table:
    table = Table("bucket (UTC)", title=title)
    for name in ("open", "high", "low", "close", "volume", "vwap", "trades"):
        table.add_column(name, justify="right")
    for candle in found:
        table.add_row(
            minute(candle.bucket),
            *(f"{value:f}" for value in (candle.open, candle.high, candle.low, candle.close)),
            f"{candle.volume:f}",
            f"{candle.vwap:.8f}" if candle.vwap is not None else "",
            str(candle.trades),
        )
    return table
