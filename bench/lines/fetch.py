"""Candles as Python objects, against psycopg's tuples."""

from collections.abc import Iterator

from bench import data
from bench.context import Bench
from bench.line import Sizes, Subject
from bench.measure import MeasurementError, Row, Target, alternate, ratio, timed
from entasis_db import queries

TITLE = "Candles into Python by fetch(), against psycopg's plain tuples"
HOW = (
    "Speed of queries.candles(...).fetch(connection) over that of"
    " connection.execute(...).fetchall() of the same statement: all 1-minute candles of one"
    " market over all the days. The same connection and rows, by the client's clock; alternated,"
    " the first round is dropped."
)
SUBJECT = Subject.READING
SIZES = Sizes.EACH


def run(bench: Bench) -> Iterator[Row]:
    """Read the busy market's minutes both ways."""
    market = data.BUSY_MARKET
    question = queries.candles(market.symbol, market.exchange, "1m", data.START, data.END)
    statement = question.sql.encode()
    with bench.server.connect(bench.loaded) as connection:
        bench.progress("fetching candles")
        tuples = connection.execute(statement, question.params).fetchall()
        if question.fetch(connection) != tuples:  # named tuples
            raise MeasurementError("fetch() gives other values than the statement")
        samples = alternate(
            {
                "fetch": lambda: timed(lambda: question.fetch(connection)),
                "tuples": lambda: timed(
                    lambda: connection.execute(statement, question.params).fetchall()
                ),
            },
            bench.effort.short_rounds,
            warm_up=1,
        )
    what = f"of {bench.size:,} trades, {len(tuples):,} candles"
    yield ratio(what, samples, "tuples", "fetch", Target(">=", 0.85))
