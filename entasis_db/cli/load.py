"""Commands that load files."""

import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click
import psycopg

from entasis_db.cli import arguments
from entasis_db.cli.arguments import check_range, moment, zone_of
from entasis_db.cli.exit_codes import ExitCode
from entasis_db.cli.output import complain, fail, note, step
from entasis_db.cli.output.rows import Form, Shape, prints, rows_of, show_one
from entasis_db.cli.progress import Told, loading
from entasis_db.cli.root import Group, explained
from entasis_db.cli.target import Target, Use
from entasis_db.errors import EntasisError
from entasis_db.exchange_candles import CandleReport, load_exchange_candles
from entasis_db.ingest import (
    MAX_REFUSED,
    IngestReport,
    Loaded,
    Replaced,
    load_options,
    load_trades,
    quarantined,
    replace_trades,
)
from entasis_db.readers.files import size_of

_SHOWN_REASONS = 5
_LOADED = Shape(
    "entasis_db.ingest.Loaded and entasis_db.ingest.IngestReport",
    (
        *(name for name in rows_of(Loaded).names if name != "report"),
        *rows_of(IngestReport).names,
    ),
    as_table=False,
)
_REPLACED = rows_of(Replaced, "--replace", as_table=False)
_CANDLES = Shape(
    "entasis_db.exchange_candles.CandleReport",
    ("source", *rows_of(CandleReport).names),
    as_table=False,
)

_max_refused = click.option(
    "--max-refused",
    type=click.IntRange(min=0),
    default=MAX_REFUSED,
    show_default=True,
    help="Rows that may go to quarantine before a file is taken for wrong as a whole.",
)

T = TypeVar("T")

Connection = psycopg.Connection[Any]
Progress = Callable[[Told], None]
Loader = Callable[[Connection, str, Progress], Loaded]


@click.group(cls=Group)
def load() -> None:
    """Load files of trades, option quotes or candles, plain, gzipped or zipped."""


@load.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--exchange", help="The venue, for files that do not name it.")
@click.option("--symbol", help="The instrument, for files that do not name it.")
@click.option("--layout", help="The layout, when it is not to be recognised.")
@click.option("--id-space", help="How trades are numbered (trade, aggtrade); for Parquet.")
@click.option(
    "--time-unit",
    type=click.Choice(["s", "ms", "us", "ns"]),
    help="The unit in which the source states times, where the layout does not say.",
)
@click.option(
    "--columns",
    metavar="NAME=COLUMN,...",
    help="Of any other CSV: timestamp=ts,price=px,volume=qty,id=tid.",
)
@click.option(
    "--sequence",
    type=click.Choice(["exchange", "position"]),
    help="What a column of that name is, if not what its numbers say.",
)
@click.option("--decimals", type=int, help="Decimals that floats were written with; for Parquet.")
@click.option(
    "--replace", is_flag=True, help="Put them in the place of stored trades with their ids."
)
@click.option("--from", "from_time", callback=moment, help="With --replace and --to: replace ...")
@click.option("--to", "to_time", callback=moment, help="... all trades in this range, UTC.")
@arguments.new_exchange
@_max_refused
@prints(_LOADED, _REPLACED, by_line=True)
@click.pass_obj
def trades(
    target: Target,
    /,
    files: tuple[str, ...],
    *,
    replace: bool,
    from_time: datetime | None,
    to_time: datetime | None,
    max_refused: int,
    form: Form,
    **how: Any,
) -> None:
    """Load files of trades: CSV and JSON of exchanges and vendors, Parquet, raw streams.

    Known by their first line are the archives of Binance, Bybit and OKX, Bitfinex', Bitstamp's and
    Coinbase's trades, the data sets of Tardis, Kaiko, Databento and Polygon, JSON of Deribit and of
    CCXT's fetch_trades, and, with --exchange kraken, Kraken's history.

    A CSV of no known layout is read with --columns: timestamp, price and volume, and of id,
    sequence, side (of who took), maker_side, buyer_maker, exchange, symbol and excluded those that
    there are; by the names in its first line, or by their positions from 1. Times are numbers of
    --time-unit, or ISO 8601 text with a zone.

    With --replace, each file is one transaction, in which its trades are stored and every other
    that has the id of one of them goes; with --from and --to, so do all others of its markets from
    the one (included) to the other (not included).
    """
    ranged = from_time is not None or to_time is not None
    if ranged and (from_time is None or to_time is None or not replace):
        fail("--from and --to go together, and with --replace", ExitCode.USAGE)
    if ranged and len(files) > 1:
        fail("one file replaces a range: a second one would remove the first's", ExitCode.USAGE)
    check_range(from_time, to_time)
    if replace:
        _each(
            target,
            files,
            lambda connection, file, progress: replace_trades(
                connection, file, from_time=from_time, to_time=to_time, progress=progress, **how
            ),
            lambda _, replaced: _tell_replaced(replaced, form),
        )
        return
    _load_files(
        target,
        files,
        "market_data",
        lambda connection, file, progress: load_trades(
            connection, file, progress=progress, max_refused=max_refused, **how
        ),
        form,
    )


@load.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--layout", help="The layout, when it is not to be recognised.")
@click.option(
    "--zone", default="UTC", callback=zone_of, help="The venue's, for dates: America/New_York."
)
@click.option("--decimals", type=int, help="Decimals that floats were written with; for Parquet.")
@_max_refused
@prints(_LOADED, by_line=True)
@click.pass_obj
def options(
    target: Target,
    /,
    files: tuple[str, ...],
    *,
    form: Form,
    **how: Any,
) -> None:
    """Load files of option quotes: CSV, Parquet, and what Deribit and vendors of its quotes tell.

    Known by their first line are Deribit's tickers as JSON and as CSV, Tardis' options_chain of
    Deribit, the quotes of options_backtester, and our own layout, in which any others can be given.
    """
    _load_files(
        target,
        files,
        "option_data",
        lambda connection, file, progress: load_options(connection, file, progress=progress, **how),
        form,
    )


@load.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--exchange", help="The venue, for files that do not name it.")
@click.option("--symbol", help="The instrument, for files that do not name it.")
@click.option("--interval", help="How long the candles are, for files that do not name it.")
@click.option("--layout", help="The layout, when it is not to be recognised.")
@click.option("--replace", is_flag=True, help="Put them in the place of others of their buckets.")
@arguments.new_exchange
@_max_refused
@prints(_CANDLES, by_line=True)
@click.pass_obj
def candles(target: Target, /, files: tuple[str, ...], form: Form, **how: Any) -> None:
    """Load files of candles that an exchange publishes: Binance's klines, or our own layout.

    They are kept beside our own candles, and nothing reads them unless it is asked to.
    """
    left_over = 0

    def tell(_: Connection, loaded: tuple[str, CandleReport]) -> None:
        nonlocal left_over
        file, report = loaded
        left_over += report.quarantined
        if not form.for_people:
            show_one(form, _CANDLES, {"source": Path(file).name} | asdict(report))
            return
        step(
            f"{Path(file).name}: {report.inserted} candles stored, {report.already_there} "
            f"were there already, {report.superseded} took the place of others, "
            f"{report.quarantined} in quarantine"
        )

    _each(
        target,
        files,
        lambda connection, file, progress: (
            file,
            load_exchange_candles(connection, file, progress=progress, **how),
        ),
        tell,
    )
    if left_over:
        note(f"{left_over} candles are in quarantine (entasis.quarantine says why)")
        sys.exit(ExitCode.LEFT_OVER)


def _load_files(
    target: Target, files: tuple[str, ...], relation: str, loader: Loader, form: Form
) -> None:
    left_over = 0

    def tell(connection: Connection, loaded: Loaded) -> None:
        nonlocal left_over
        left_over += loaded.report.quarantined + loaded.report.past_retention
        if form.for_people:
            _summarise(connection, relation, loaded)
        else:
            counts = asdict(loaded)
            show_one(form, _LOADED, counts | counts.pop("report"))

    _each(target, files, loader, tell)
    if left_over:
        note(f"{left_over} rows are in quarantine or past retention, and the others are stored")
        sys.exit(ExitCode.LEFT_OVER)


def _each(
    target: Target,
    files: tuple[str, ...],
    do: Callable[[Connection, str, Progress], T],
    tell: Callable[[Connection, T], None],
) -> None:
    """Do something with each file; one that fails does not keep the others from being done.

    What ends the command says how many rows of the file are stored nevertheless.
    """
    failed = False
    with target.connect(Use.WRITES) as connection:
        for file in files:
            name, so_far = Path(file).name, _SoFar()
            try:
                with loading(name, size_of(file)) as show:
                    done = do(connection, file, so_far.telling(show))
            except EntasisError as error:
                complain(str(error))
                failed = True
            except KeyboardInterrupt:
                fail(f"{name}: interrupted. {so_far}")
            except psycopg.Error as error:
                if not (so_far.rows or isinstance(error, psycopg.OperationalError)):
                    raise
                said = explained(error)
                fail(f"{name}: {said}{'' if said[-1] in '.?' else '.'} {so_far}")
            else:
                tell(connection, done)
    if failed:
        sys.exit(ExitCode.FAILED)


class _SoFar:
    """How many rows of a file are stored for good."""

    rows = 0

    def telling(self, show: Progress) -> Progress:
        """Take note of what is shown."""

        def tell(told: Told) -> None:
            report = told if isinstance(told, CandleReport) else told.report
            superseded = report.superseded if isinstance(report, CandleReport) else 0
            self.rows = report.inserted + report.already_there + superseded
            show(told)

        return tell

    def __str__(self) -> str:
        return (
            f"{self.rows} rows of it are safe in the database; load it again to go on: nothing is "
            "loaded twice"
        )


def _tell_replaced(replaced: Replaced, form: Form) -> None:
    if not form.for_people:
        show_one(form, _REPLACED, replaced)
        return
    step(
        f"{replaced.source} ({replaced.layout}): {replaced.added} rows added, "
        f"{replaced.changed} changed, {replaced.removed} removed, {replaced.unchanged} unchanged"
    )
    _tell_of_times(replaced.truncated_nanoseconds, replaced.past_keep)


def _tell_of_times(truncated_nanoseconds: int, past_keep: int) -> None:
    if truncated_nanoseconds:
        step(
            f"  {truncated_nanoseconds} timestamps were finer than a microsecond, which is "
            "what PostgreSQL keeps: the digits below it were cut off"
        )
    if past_keep:
        step(
            f"  note: {past_keep} rows are past their keep period: maintenance drops the "
            "months that wholly are, once they are archived. To keep them, lengthen keep in "
            "entasis.keep_periods (for the candles first)"
        )


def _summarise(connection: Connection, relation: str, loaded: Loaded) -> None:
    report = loaded.report
    step(
        f"{loaded.source} ({loaded.layout}): {report.inserted} rows stored, "
        f"{report.already_there} were there already, {report.quarantined} in quarantine"
        + (f", {report.past_retention} past retention" if report.past_retention else "")
    )
    _tell_of_times(loaded.truncated_nanoseconds, report.past_keep)
    if report.rounded:
        step(
            f"  {report.rounded} computed values (volatilities, greeks) had more than 18 decimals: "
            "they were rounded half to even"
        )
    if report.nulled:
        step(
            f"  {report.nulled} values were no numbers, or no volatility or greek can be so: they "
            "are NULL"
        )
    if report.past_retention:
        step(
            f"  {report.past_retention} rows lie below the floor of {relation} and were not "
            "stored: entasis.past_retention counts them. To store them, open their days with "
            "entasis reopen and load the file again"
        )
    if report.quarantined:
        for row in quarantined(connection, relation, loaded.source, limit=_SHOWN_REASONS):
            step(f"  line {row.line}: {row.code}: {row.reason}")
        step("  all of them: SELECT * FROM entasis.quarantine")
