"""The commands that list markets, and record what is traded."""

import click
from rich.table import Table

from entasis_db import instruments, queries
from entasis_db.cli import arguments
from entasis_db.cli.exit_codes import ExitCode
from entasis_db.cli.output import fail, minute, note, print_whole, step
from entasis_db.cli.output.rows import Form, prints, rows_of, show
from entasis_db.cli.root import Group
from entasis_db.cli.target import Target, Use

_SHOWN_FAULTS = 5

_exchange = click.option("--exchange", help="Only the markets of this venue.")
_MARKETS = rows_of(queries.Market)


@click.group(cls=Group, invoke_without_command=True)
@_exchange
@prints(_MARKETS)
@click.pass_context
def markets(ctx: click.Context, exchange: str | None, form: Form) -> None:
    """List markets with what is stored of them, or record what is known of them."""
    if ctx.invoked_subcommand is None:
        _list(ctx.obj, exchange, form)


@markets.command("list")
@_exchange
@prints(_MARKETS)
@click.pass_obj
def list_markets(target: Target, exchange: str | None, form: Form) -> None:
    """List markets, with the first and the last trade and how many there are.

    These are taken from daily candles, which are kept longer than trades.
    """
    _list(target, exchange, form)


@markets.command("set")
@click.argument("symbol")
@click.argument("exchange")
@click.argument("settings", nargs=-1, required=True, metavar="KEY=VALUE...")
@click.pass_obj
def set_market(target: Target, symbol: str, exchange: str, settings: tuple[str, ...]) -> None:
    """Set what is known of a market, such as contract_size=100.

    No loader and no list changes that again; KEY= gives it back to them. Times without an offset
    are in UTC.
    """
    given: dict[str, object] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            fail(f"{setting!r} is no KEY=VALUE", ExitCode.USAGE)
        given[key] = value or None
    with target.connect(Use.WRITES) as connection:
        is_new = instruments.set_market(connection, symbol, exchange, **given)
    step(f"{exchange} {symbol}: {', '.join(given)} set" + (" (a new market)" if is_new else ""))


@markets.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--exchange", help="The name under which its trades are stored.")
@arguments.new_exchange
@click.pass_obj
def import_list(target: Target, file: str, exchange: str | None, new_exchange: bool) -> None:
    """Record an exchange's own list of instruments.

    FILE is the JSON of Binance's exchangeInfo (spot, USD-M, COIN-M), of Deribit's
    public/get_instruments or of OKX's public/instruments.
    """
    with target.connect(Use.WRITES) as connection:
        done = instruments.import_instruments(
            connection, file, exchange=exchange, new_exchange=new_exchange
        )
    step(
        f"{done.source}: {done.listed} instruments of {done.exchange}, {done.recorded} of them new "
        "or changed"
    )
    if done.faults:
        for fault in done.faults[:_SHOWN_FAULTS]:
            step(f"  {fault}")
        note(f"{len(done.faults)} entries could not be read, and the others are recorded")
        raise SystemExit(ExitCode.LEFT_OVER)


def _list(target: Target, exchange: str | None, form: Form) -> None:
    with target.connect() as connection:
        found = queries.markets(exchange).fetch(connection)
    nothing = "no market is on record" + (f" of {exchange}" if exchange else "")
    show(form, _MARKETS, found, lambda: print_whole(_table(found)), nothing)


def _table(found: list[queries.Market]) -> Table:
    table = Table("exchange", "symbol", "kind", "volume in")
    for name in ("contract size", "tick", "lot"):
        table.add_column(name, justify="right")
    for name in ("expiry (UTC)", "active", "ids", "first trade (UTC)", "last trade (UTC)"):
        table.add_column(name)
    table.add_column("trades", justify="right")
    for one in found:
        table.add_row(
            one.exchange,
            one.symbol,
            one.kind or "",
            one.volume_unit or "",
            *(
                "" if size is None else f"{size:f}"
                for size in (one.contract_size, one.tick_size, one.lot_size)
            ),
            "" if one.expiry is None else minute(one.expiry),
            {True: "yes", False: "no", None: ""}[one.is_active],
            one.id_space or "",
            "" if one.first_trade is None else minute(one.first_trade),
            "" if one.last_trade is None else minute(one.last_trade),
            f"{one.trades:,}",
        )
    return table
