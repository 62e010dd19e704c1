"""Commands that load files."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import click
import psycopg

from entasis_db.cli.exit_codes import ExitCode
from entasis_db.cli.output import complain, note, step
from entasis_db.cli.progress import loading
from entasis_db.cli.root import Group
from entasis_db.cli.target import Target
from entasis_db.errors import EntasisError
from entasis_db.ingest import Loaded, load_options, load_trades, quarantined
from entasis_db.model import TimeUnit

_SHOWN_REASONS = 5

Loader = Callable[[psycopg.Connection[Any], str, Callable[[Loaded], None]], Loaded]


@click.group(cls=Group)
def load() -> None:
    """Load files of trades or option quotes, plain, gzipped or zipped."""


@load.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--exchange", help="The venue, for files that do not name it.")
@click.option("--symbol", help="The instrument, for files that do not name it.")
@click.option("--layout", help="The layout, when it is not to be recognised.")
@click.option("--id-space", help="How trades are numbered (trade, aggtrade); for Parquet.")
@click.option(
    "--time-unit",
    type=click.Choice(["s", "ms", "us"]),
    help="The unit in which the source states times, where the layout does not say.",
)
@click.option(
    "--sequence",
    type=click.Choice(["exchange", "position"]),
    help="What a column of that name is, if not what its numbers say.",
)
@click.option("--decimals", type=int, help="Decimals that floats were written with; for Parquet.")
@click.pass_obj
def trades(
    target: Target,
    files: tuple[str, ...],
    exchange: str | None,
    symbol: str | None,
    layout: str | None,
    id_space: str | None,
    time_unit: TimeUnit | None,
    sequence: Literal["exchange", "position"] | None,
    decimals: int | None,
) -> None:
    """Load files of trades: CSV, Parquet, Binance's archives, or a raw Binance stream."""
    _load_files(
        target,
        files,
        "market_data",
        lambda connection, file, progress: load_trades(
            connection,
            file,
            exchange=exchange,
            symbol=symbol,
            layout=layout,
            progress=progress,
            id_space=id_space,
            time_unit=time_unit,
            sequence=sequence,
            decimals=decimals,
        ),
    )


@load.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--layout", help="The layout, when it is not to be recognised.")
@click.pass_obj
def options(target: Target, files: tuple[str, ...], layout: str | None) -> None:
    """Load files of option quotes: Deribit tickers, or daily quotes of options_backtester."""
    _load_files(
        target,
        files,
        "option_data",
        lambda connection, file, progress: load_options(
            connection, file, layout=layout, progress=progress
        ),
    )


def _load_files(target: Target, files: tuple[str, ...], relation: str, loader: Loader) -> None:
    failed = False
    left_over = 0
    with target.connect() as connection:
        for file in files:
            try:
                with loading(Path(file).name) as progress:
                    loaded = loader(connection, file, progress)
            except EntasisError as error:
                complain(str(error))
                failed = True
            else:
                left_over += loaded.report.quarantined + loaded.report.past_retention
                _summarise(connection, relation, loaded)
    if failed:
        sys.exit(ExitCode.FAILED)
    if left_over:
        note(f"{left_over} rows are in quarantine or past retention, and the others are stored")
        sys.exit(ExitCode.LEFT_OVER)


def _summarise(connection: psycopg.Connection[Any], relation: str, loaded: Loaded) -> None:
    report = loaded.report
    step(
        f"{loaded.source} ({loaded.layout}): {report.inserted} rows stored, "
        f"{report.already_there} were there already, {report.quarantined} in quarantine"
        + (f", {report.past_retention} past retention" if report.past_retention else "")
    )
    if loaded.truncated_nanoseconds:
        step(
            f"  {loaded.truncated_nanoseconds} timestamps were finer than a microsecond, which is "
            "what PostgreSQL keeps: the digits below it were cut off"
        )
    if report.past_keep:
        step(
            f"  note: {report.past_keep} rows are past their keep period: maintenance drops the "
            "months that wholly are, once they are archived. To keep them, lengthen keep in "
            "entasis.keep_periods (for the candles first)"
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
