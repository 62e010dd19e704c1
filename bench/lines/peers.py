"""Candles from the database, against those that others compute from Parquet."""

import tempfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import polars as pl

from bench import data, minutes
from bench.context import Bench
from bench.files import write_parquet
from bench.line import Sizes, Subject
from bench.loaders import Connection
from bench.measure import Row, Target, alternate, ratio, timed
from entasis_db import queries

_MILLION = 1_000_000

TITLE = "Candles into Python, how many times faster than Polars and DuckDB from Parquet"
HOW = (
    "A day of one market's minutes by queries.candles(...).fetch(), and by its arrow(), against"
    " Polars, which computes them from its trades; an hour of all markets' minutes by SELECT from"
    " ohlcv_1m, against DuckDB, which computes them too."
    f" Polars {pl.__version__} and DuckDB {duckdb.__version__} read one Parquet file of all trades"
    " in the order of time; both give rows of Python objects, or Arrow, with exact decimals,"
    " without quote_volume, which theirs cannot hold. Open connections on both sides. Values are"
    " compared first; alternated, the first round is dropped."
)
SUBJECT = Subject.READING
SIZES = Sizes.EACH

_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
_OF_DAY = attrgetter("bucket", "open", "high", "low", "close", "volume", "trades")
T = TypeVar("T")


def run(bench: Bench) -> Iterator[Row]:
    """Write the file, and read from both."""
    with (
        tempfile.TemporaryDirectory(prefix="entasis-bench-") as folder,
        bench.server.connect(bench.loaded) as connection,
        minutes.lake() as lake,
    ):
        file = Path(folder) / "trades.parquet"
        bench.progress(f"writing {bench.size:,} trades as Parquet")
        write_parquet(file, data.batches(bench.stored_trades(), bench.effort.large_batch))
        yield from _day(bench, connection, file)
        yield _hour(bench, connection, lake, file)


def _day(bench: Bench, connection: Connection, file: Path) -> Iterator[Row]:
    bench.progress("a day of minutes, by Polars")
    market, day = data.BUSY_MARKET, data.BUSY_DAY
    question = queries.candles(market.symbol, market.exchange, "1m", day, day + _DAY)
    count = minutes.same(list(map(_OF_DAY, question.fetch(connection))), _polars_day(file).rows())
    yield _compare(
        bench,
        f"a day of minutes ({count:,} rows) / Polars",
        lambda: question.fetch(connection),
        lambda: _polars_day(file).rows(),
        Target(">=", 3, _MILLION),
    )
    table = question.polars(connection).select(_polars_day(file).columns)
    minutes.same(table.rows(), _polars_day(file).rows())
    yield _compare(
        bench,
        f"the same as Arrow ({count:,} rows) / Polars",
        lambda: question.arrow(connection),
        lambda: _polars_day(file).to_arrow(),
        Target(">=", 10, _MILLION),
    )


def _polars_day(file: Path) -> pl.DataFrame:
    return minutes.by_polars(file, data.BUSY_DAY, data.BUSY_DAY + _DAY, data.BUSY_MARKET)


def _hour(bench: Bench, connection: Connection, lake: duckdb.DuckDBPyConnection, file: Path) -> Row:
    bench.progress("an hour of minutes, by DuckDB")
    begin = data.BUSY_DAY + _DAY / 2
    end = begin + _HOUR

    def ours() -> list[Any]:
        return minutes.kept(connection, begin, end)

    def theirs() -> list[Any]:
        return minutes.by_duckdb(lake, file, begin, end)

    count = minutes.same(minutes.without_zone(ours()), theirs())
    what = f"an hour of minutes of {len(data.MARKETS)} markets ({count:,} rows) / DuckDB"
    return _compare(bench, what, ours, theirs, Target(">=", 100, 10 * _MILLION))


def _compare(
    bench: Bench,
    what: str,
    ours: Callable[[], T],
    theirs: Callable[[], T],
    target: Target,
) -> Row:
    samples = alternate(
        {"ours": lambda: timed(ours), "theirs": lambda: timed(theirs)},
        bench.effort.short_rounds,
        warm_up=1,
    )
    return ratio(f"of {bench.size:,} trades, {what}", samples, "theirs", "ours", target)
