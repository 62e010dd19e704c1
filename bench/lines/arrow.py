"""Candles as Arrow, Polars and pandas, against psycopg's tuples."""

from collections.abc import Iterator

import polars as pl
import pyarrow as pa

from bench import data
from bench.context import Bench
from bench.line import Sizes, Subject
from bench.measure import MeasurementError, Row, Target, alternate, ratio, timed
from entasis_db import queries

TITLE = "Candles as Arrow, Polars and pandas, against psycopg's plain tuples"
HOW = (
    "Speed of queries.candles(...).arrow(connection), and of polars() and pandas(), with exact"
    " decimals, over that of connection.execute(...).fetchall() of the same statement: all 1-minute"
    " candles of one market over all the days. The values are compared first. The same connection,"
    " by the client's clock; alternated, the first round is dropped."
    f" pyarrow {pa.__version__}, Polars {pl.__version__}."
)
SUBJECT = Subject.READING
SIZES = Sizes.EACH


def run(bench: Bench) -> Iterator[Row]:
    """Read the busy market's minutes in each way."""
    market = data.BUSY_MARKET
    question = queries.candles(market.symbol, market.exchange, "1m", data.START, data.END)
    statement = question.sql.encode()
    with bench.server.connect(bench.loaded) as connection:
        bench.progress("candles as Arrow")
        tuples = connection.execute(statement, question.params).fetchall()
        columns = question.arrow(connection).select(list(question.row._fields)).to_pydict().values()
        if list(zip(*columns, strict=True)) != tuples:
            raise MeasurementError("arrow() gives other values than the statement")
        samples = alternate(
            {
                "tuples": lambda: timed(
                    lambda: connection.execute(statement, question.params).fetchall()
                ),
                "arrow": lambda: timed(lambda: question.arrow(connection)),
                "polars": lambda: timed(lambda: question.polars(connection)),
                "pandas": lambda: timed(lambda: question.pandas(connection)),
                "floats": lambda: timed(lambda: question.arrow(connection, floats=True)),
            },
            bench.effort.short_rounds,
            warm_up=1,
        )
    what = f"of {bench.size:,} trades, {len(tuples):,} candles"
    yield ratio(f"{what} as Arrow", samples, "tuples", "arrow", Target(">=", 2))
    yield ratio(f"{what} as Polars", samples, "tuples", "polars", Target(">=", 2))
    yield ratio(f"{what} as pandas", samples, "tuples", "pandas")
    yield ratio(f"{what} as Arrow with floats", samples, "tuples", "floats")
