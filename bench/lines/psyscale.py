"""The library that keeps trades and candles in TimescaleDB too, beside our engine of that name."""

import csv
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from psycopg.conninfo import conninfo_to_dict

from bench import data
from bench.context import Bench
from bench.line import Sizes, Subject
from bench.loaders import Connection, lively_trades
from bench.measure import LeftOut, MeasurementError, Row, alternate, only_row, ratio, timed
from entasis_db import queries
from entasis_db.model import Trade
from tests.engines import pause_jobs

TITLE = (
    "Loading until candles show it and reading a day of minutes, against psyscale on TimescaleDB"
)
HOW = (
    "Speed of engine timescaledb over psyscale's (PyPI), each in databases of its own on one"
    " server: ingest_trades() and refresh_candles(), against upsert_series() for each symbol of a"
    " batch and refresh_aggregate_metadata(), with minutes, hours and days; then"
    " queries.candles(...).pandas() against get_series(). psyscale's prices and volumes are binary"
    " floats, and its key is a symbol and a time: so trades of one moment are moved apart by a"
    " microsecond, for both. It is run by the Python that ENTASIS_BENCH_PSYSCALE names, because it"
    " needs 3.12. How many minutes there are is compared."
)
SUBJECT = Subject.ENGINES
SIZES = Sizes.ONCE

_PYTHON = "ENTASIS_BENCH_PSYSCALE"
_PROGRAM = Path(__file__).parents[1] / "psyscale_peer.py"
_FEWEST = 1_000
_DAY = timedelta(days=1)
_OFFERED = "SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_trgm'"
Batches = Sequence[Sequence[Trade]]


def run(bench: Bench) -> Iterator[Row]:
    """Load and read with both."""
    python = _python(bench)
    number, batch_rows = bench.effort.service_trades // 4, bench.effort.batch
    if batch_rows < _FEWEST:
        raise LeftOut("psyscale takes no batch in which a symbol has one trade: leave out --quick")
    batches = list(data.batches(_apart(lively_trades(number)()), batch_rows))
    template = bench.server.migrated("timescaledb")
    bench.server.seal(template)
    reads: dict[str, list[float]] = {}
    minutes: dict[str, int] = {}
    with tempfile.TemporaryDirectory(prefix="entasis-bench-") as folder:
        files = [_write(Path(folder) / f"{n}.csv", batch) for n, batch in enumerate(batches)]
        samples = alternate(
            {
                "psyscale": partial(_theirs, bench, python, files, reads, minutes),
                "ours": partial(_ours, bench, template, batches, reads, minutes),
            },
            bench.effort.rounds,
        )
    bench.server.drop(template)
    if minutes["psyscale"] != minutes["ours"]:
        raise MeasurementError(f"the minutes of the day differ: {minutes}")
    what = f"{number:,} trades in batches of {batch_rows:,}"
    yield ratio(f"{what}: load until candles show it / psyscale", samples, "psyscale", "ours")
    rows = f"{what}: a day of minutes ({minutes['ours']:,} rows)"
    yield ratio(f"{rows} into pandas / psyscale", reads, "psyscale", "ours")


def _python(bench: Bench) -> str:
    python = os.environ.get(_PYTHON)
    if not python:
        raise LeftOut(
            f"psyscale needs Python 3.12 and libraries of its own: set {_PYTHON} to a python that"
            " has it, and DATABASE_URL to a superuser's on a server with TimescaleDB and pg_trgm"
        )
    with bench.server.connect("template1") as connection:
        (offered,) = only_row(connection, _OFFERED)
    if not (offered and bench.server.offers_timescaledb()):
        raise LeftOut("this server does not offer both TimescaleDB's Community edition and pg_trgm")
    return python


def _apart(trades: Iterator[Trade]) -> Iterator[Trade]:
    """Move trades of one symbol and moment apart."""
    last: dict[str, Any] = {}
    for trade in trades:
        before = last.get(_symbol(trade))
        moment = trade.timestamp
        if before is not None and moment <= before:
            moment = before + timedelta(microseconds=1)
        last[_symbol(trade)] = moment
        yield trade._replace(timestamp=moment)


def _symbol(trade: Trade) -> str:
    return f"{trade.symbol}.{trade.exchange}"


def _write(file: Path, batch: Sequence[Trade]) -> str:
    with file.open("w", newline="") as text:
        out = csv.writer(text)
        out.writerow(("symbol", "dt", "price", "volume"))
        out.writerows((_symbol(t), t.timestamp.isoformat(), t.price, t.volume) for t in batch)
    return str(file)


def _theirs(
    bench: Bench,
    python: str,
    files: Sequence[str],
    reads: dict[str, list[float]],
    minutes: dict[str, int],
) -> float:
    bench.progress("psyscale")
    market = data.BUSY_MARKET
    with bench.database("template0", "psyscale") as name:
        with bench.server.connect(name) as connection:
            connection.execute("CREATE EXTENSION timescaledb")
        bench.server.checkpoint()
        asked = {
            "url": _url(bench.server.dsn(name)),
            "files": files,
            "symbol": f"{market.symbol}.{market.exchange}",
            "begin": data.START.isoformat(),
            "end": (data.START + _DAY).isoformat(),
            "rounds": bench.effort.reads,
        }
        done = subprocess.run(
            [python, str(_PROGRAM)],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise MeasurementError(f"psyscale failed: {done.stderr.strip().splitlines()[-1:]}")
    found = json.loads(done.stdout)
    reads["psyscale"], minutes["psyscale"] = found["reading"], found["rows"]
    return float(found["loading"])


def _url(dsn: str) -> str:
    known = {name: quote(str(value), safe="") for name, value in conninfo_to_dict(dsn).items()}
    login = f"{known.get('user', 'postgres')}:{known.get('password', '')}"
    place = f"{known.get('host', 'localhost')}:{known.get('port', '5432')}"
    return f"postgresql://{login}@{place}/{known['dbname']}"


def _ours(
    bench: Bench,
    template: str,
    batches: Batches,
    reads: dict[str, list[float]],
    minutes: dict[str, int],
) -> float:
    bench.progress("engine timescaledb")
    market = data.BUSY_MARKET
    question = queries.candles(market.symbol, market.exchange, "1m", data.START, data.START + _DAY)
    with bench.database(template) as name, bench.server.connect(name) as connection:
        pause_jobs(connection)
        bench.server.checkpoint()
        load = bench.load(lambda: map(list, batches), sum(map(len, batches)))
        seconds = load.through_helper(connection) + timed(lambda: _show(connection))
        minutes["ours"] = len(question.pandas(connection))
        reads["ours"] = [
            timed(lambda: question.pandas(connection)) for _ in range(bench.effort.reads)
        ]
    return seconds


def _show(connection: Connection) -> None:
    connection.execute("CALL entasis.refresh_candles('-infinity', 'infinity')")
