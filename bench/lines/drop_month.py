"""How a month of trades goes away."""

from collections.abc import Iterator

from psycopg import sql

from bench import data
from bench.context import Bench
from bench.line import Sizes, Subject
from bench.loaders import Connection
from bench.measure import Row, Target, alternate, only_row, ratio, timed

TITLE = "Dropping a month of trades, how many times faster than deleting it"
HOW = (
    "entasis_internal.drop_partition(), which is what entasis.maintain() calls, against DELETE of"
    " the same month: in the database as it is, where triggers bring the candles along, and with"
    " the triggers disabled, without and with the VACUUM that frees the space. By the client's"
    " clock with the commit, each in a fresh copy of the loaded database with the month read once,"
    " after a checkpoint."
)
SUBJECT = Subject.RETENTION
SIZES = Sizes.EACH

_KEEP_A_DAY = (
    "UPDATE entasis.keep_periods SET keep = '1 day', archived = false"
    " WHERE relation = 'market_data'"
)
_FIRST_MONTH = sql.SQL("timestamp >= {start} AND timestamp < {end}").format(
    start=data.START, end=data.SECOND_MONTH
)
_DELETE = sql.SQL("DELETE FROM entasis.market_data WHERE {}").format(_FIRST_MONTH)
_COUNT = sql.SQL("SELECT count(price) FROM entasis.market_data WHERE {}").format(_FIRST_MONTH)


def run(bench: Bench) -> Iterator[Row]:
    """Drop the first month's partition, and delete its rows."""
    vacuums: list[float] = []
    samples = alternate(
        {
            "drop": lambda: _drop(bench),
            "DELETE": lambda: _delete(bench),
            "bare DELETE": lambda: _delete(bench, vacuums),
        },
        bench.effort.rounds,
    )
    samples["bare DELETE and VACUUM"] = [
        a + b for a, b in zip(samples["bare DELETE"], vacuums, strict=True)
    ]
    with bench.server.connect(bench.loaded) as connection:
        (count,) = only_row(connection, _COUNT)
    what = f"{count:,} of {bench.size:,} trades"
    yield ratio(what, samples, "DELETE", "drop", Target(">=", 100))
    yield ratio(f"{what}, no triggers", samples, "bare DELETE", "drop")
    yield ratio(f"{what}, no triggers, with VACUUM", samples, "bare DELETE and VACUUM", "drop")


def _drop(bench: Bench) -> float:
    with (
        bench.database(bench.loaded) as name,
        bench.server.connect(name) as connection,
    ):
        bench.progress(f"dropping a month of {bench.size:,} trades")
        connection.execute(_KEEP_A_DAY)
        (partition,) = only_row(
            connection,
            "SELECT partition_name FROM entasis_internal.expired_partitions()"
            " WHERE relation = 'market_data' AND to_time = %s",
            data.SECOND_MONTH,
        )
        _warm(bench, connection)
        return timed(
            lambda: connection.execute(
                "SELECT entasis_internal.drop_partition('market_data', %s)", [partition]
            )
        )


def _delete(bench: Bench, vacuums: list[float] | None = None) -> float:
    """Delete; with a list for the seconds of the VACUUM after it, without triggers."""
    with (
        bench.database(bench.loaded) as name,
        bench.server.connect(name) as connection,
    ):
        bench.progress(f"deleting a month of {bench.size:,} trades")
        if vacuums is not None:
            connection.execute("ALTER TABLE entasis.market_data DISABLE TRIGGER USER")
        _warm(bench, connection)
        seconds = timed(lambda: connection.execute(_DELETE))
        if vacuums is not None:
            vacuums.append(timed(lambda: connection.execute("VACUUM entasis.market_data")))
        return seconds


def _warm(bench: Bench, connection: Connection) -> None:
    # all arms find the month in memory, as far as it fits: DELETE gains more by it
    only_row(connection, _COUNT)
    bench.server.checkpoint()
