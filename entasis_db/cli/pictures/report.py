"""The command that writes a report."""

from pathlib import Path

import click

from entasis_db import report as reports
from entasis_db.charts.files import write
from entasis_db.cli.output import note, step
from entasis_db.cli.target import Target


@click.command()
@click.option(
    "--html",
    "path",
    required=True,
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The page to write.",
)
@click.option(
    "--days",
    type=click.IntRange(1, 3660),
    default=7,
    show_default=True,
    help="How far back gaps and candles reach, from the newest trade of each market.",
)
@click.option(
    "--markets",
    type=click.IntRange(0, 10_000),
    default=20,
    show_default=True,
    help="In how many markets gaps are looked for, the busiest.",
)
@click.option(
    "--charts",
    type=click.IntRange(0, 50),
    default=4,
    show_default=True,
    help="How many of them are drawn.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=30,
    show_default=True,
    help="How long one part of it may take.",
)
@click.pass_obj
def report(
    target: Target, path: Path, days: int, markets: int, charts: int, seconds: float
) -> None:
    """Write a page that shows how the database is.

    Markets with coverage and gaps, lags, candles of the busiest, storage, retention and archive,
    quarantine, runs and health. It is one file that opens offline, read in one snapshot. Needs the
    roles entasis_reader and entasis_monitor; what the login may not see is said.
    """
    with target.connect() as connection:
        found = reports.read(connection, days=days, markets=markets, charts=charts, seconds=seconds)
    write(path, reports.page(found).encode())
    step(f"{path}: {found.database} at {found.at:%Y-%m-%d %H:%M:%S} UTC")
    unread = sorted(
        name for name, value in vars(found).items() if isinstance(value, reports.Unread)
    )
    if unread:
        note(f"not read, the page says why: {', '.join(unread)}")
