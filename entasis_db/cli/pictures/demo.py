"""The command that shows real candles within a minute."""

import os
import sys
import webbrowser
from pathlib import Path
from shlex import quote

import click
import psycopg

from entasis_db import report
from entasis_db.charts.files import write
from entasis_db.cli.output import fail, step
from entasis_db.cli.target import Target, Use
from entasis_db.cursors import execute
from entasis_db.embedded import embedded_cluster
from entasis_db.exchange_candles import load_exchange_candles
from entasis_db.ingest import load_trades
from entasis_db.migrate import migrate
from entasis_db.resources import sample

DATABASE = "entasis_demo"
_MARK = "made by entasis demo, which drops it and makes it anew"


@click.command()
@click.option(
    "--html",
    "path",
    default="entasis-demo.html",
    show_default=True,
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The page to write.",
)
@click.option("--no-browser", is_flag=True, help="Write the page, and do not open it.")
def demo(path: Path, no_browser: bool) -> None:
    """Load real trades into a scratch database, and show them on a page.

    Five minutes of BTCUSDT and ETHUSDT, from the samples of this release. The database is
    entasis_demo of the embedded server, which is started, and made if there is none; nothing else
    is touched, whatever DATABASE_URL says. A browser opens the page where there is a display.
    """
    dsn = _scratch()
    migrate(dsn, engine="postgresql")
    with psycopg.connect(dsn, autocommit=True, client_encoding="UTF8") as connection:
        # they are older than trades are kept by default
        execute(connection, "UPDATE entasis.keep_periods SET keep = NULL")
        loaded = load_trades(connection, sample("trades_binance_sample.csv.gz"))
        load_exchange_candles(connection, sample("exchange_candles_sample.csv"))
        found = report.read(connection)
    step(f"{loaded.report.inserted:,} trades of the samples are in database {DATABASE}")
    write(path, report.page(found).encode())
    step(f"{path.resolve()}: candles, gaps, storage and health; any browser opens it")
    url = embedded_cluster().url(DATABASE)
    step(f"look further: export DATABASE_URL={quote(url)}; entasis psql")
    if not no_browser and _has_display():
        webbrowser.open(path.resolve().as_uri())


def _scratch() -> str:
    """Make the scratch database anew; return its connection string."""
    main = Target(None).dsn(Use.INSTALLS)
    with psycopg.connect(main, autocommit=True) as connection:
        there = execute(
            connection,
            "SELECT pg_catalog.shobj_description(d.oid, 'pg_database')"
            " FROM pg_catalog.pg_database AS d WHERE d.datname OPERATOR(pg_catalog.=) %s",
            DATABASE,
        )
        if there:
            if there[0][0] != _MARK:
                fail(f"database {DATABASE} is there, and was not made by entasis demo: rename it")
            execute(connection, "DROP DATABASE entasis_demo WITH (FORCE)")
        execute(connection, "CREATE DATABASE entasis_demo")
        execute(connection, f"COMMENT ON DATABASE entasis_demo IS '{_MARK}'")
    return embedded_cluster().dsn(DATABASE)


def _has_display() -> bool:
    """Tell whether somebody is there to see a browser."""
    return sys.stdout.isatty() and (
        sys.platform == "darwin"
        or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    )
