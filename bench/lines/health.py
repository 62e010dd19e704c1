"""What a look at the database's health costs."""

from collections.abc import Iterator
from datetime import timedelta

from bench import data
from bench.context import Bench
from bench.line import Sizes, Subject
from bench.loaders import Connection
from bench.measure import Row, alternate, ratio, timed

TITLE = "entasis.health, against SELECT 1"
HOW = (
    "Time of all rows of entasis.health over that of SELECT 1, by the client's clock on one"
    " connection; alternated, the first round is dropped. With the months of the trades, and with"
    " 24 more: it is to be no dearer for them. The made-up markets have traded long ago, and count"
    " as no feeds any more."
)
SUBJECT = Subject.READING
SIZES = Sizes.EACH

_LOOK = "SELECT * FROM entasis.health"
_MONTHS = 24


def run(bench: Bench) -> Iterator[Row]:
    """Look at both."""
    with bench.database(bench.loaded) as name, bench.server.connect(name) as connection:
        connection.execute("SET default_transaction_read_only = off")
        yield _look(bench, connection, f"over {bench.size:,} trades")
        connection.execute(
            "SELECT entasis.ensure_partitions(f.relation, %s, %s) FROM entasis.floors AS f",
            [data.END, data.END + timedelta(days=30 * _MONTHS)],
        )
        yield _look(bench, connection, f"over {bench.size:,} trades, {_MONTHS} months more")


def _look(bench: Bench, connection: Connection, what: str) -> Row:
    bench.progress("looking at its health")
    samples = alternate(
        {
            "health": lambda: timed(lambda: connection.execute(_LOOK).fetchall()),
            "SELECT 1": lambda: timed(lambda: connection.execute("SELECT 1").fetchall()),
        },
        bench.effort.short_rounds,
        warm_up=1,
    )
    return ratio(what, samples, "health", "SELECT 1")
