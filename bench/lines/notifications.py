"""What it costs writers that caches are notified."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Literal

from bench import data
from bench.context import FULL, Bench
from bench.line import Sizes, Subject
from bench.loaders import SOURCE, two_hours
from bench.measure import Row, Target, alternate, ratio, timed
from entasis_db.cache import Cache
from entasis_db.ingest import ingest_trades
from entasis_db.model import Trade

TITLE = "Notifying caches of what changed, against notifying nobody"
HOW = (
    "Throughput of ingest_trades() over that with a database whose function that notifies caches"
    " does nothing: with nobody listening, and with one cache."
)
SUBJECT = Subject.SERVICES
SIZES = Sizes.ONCE

# replaces a function that must be there: under another name it would silence nothing
_FIND = "SELECT 'entasis_internal.notify_candle_changes(entasis.ohlcv_1m[])'::regprocedure"
_SILENCE = """
    CREATE OR REPLACE FUNCTION entasis_internal.notify_candle_changes(minutes entasis.ohlcv_1m[])
    RETURNS void LANGUAGE sql AS ''
"""
How = Literal["without", "unheard", "heard"]


def run(bench: Bench) -> Iterator[Row]:
    """Write with and without somebody who listens."""
    batch = bench.effort.batch
    small = max(1, batch // 100)
    for writers, rows, full in ((1, batch, 8), (1, small, 100), (4, small, 50)):
        number = max(1, full * batch // FULL.batch)
        label = f"{writers} writer{'s' * (writers > 1)}, batches of {rows:,}"
        trades = [_own_market(n, rows * number) for n in range(writers)]
        hows: tuple[How, ...] = ("without", "unheard", "heard")
        samples = alternate(
            {how: partial(_arm, bench, how, label, trades, rows) for how in hows},
            bench.effort.rounds,
        )
        what = f"{label}, nobody listens"
        yield ratio(what, samples, "without", "unheard", Target(">=", 0.9))
        yield ratio(f"{label}, one cache", samples, "without", "heard")


def _own_market(number: int, rows: int) -> list[Trade]:
    return [
        row._replace(symbol=f"M{number}", exchange="x", id=n)
        for n, row in enumerate(two_hours(rows))
    ]


def _arm(
    bench: Bench, how: How, label: str, trades: Sequence[Sequence[Trade]], batch_rows: int
) -> float:
    bench.progress(f"{label}: {how}")
    with bench.database(bench.templates.migrated) as name, ExitStack() as stack:
        if how == "without":
            with bench.server.connect(name) as connection:
                connection.execute(_FIND)
                connection.execute(_SILENCE)
        if how == "heard":
            stack.enter_context(Cache(bench.server.dsn(name)))
        bench.server.checkpoint()
        return _write(bench, name, trades, batch_rows)


def _write(bench: Bench, name: str, trades: Sequence[Sequence[Trade]], batch_rows: int) -> float:
    """Return the seconds in which as many writers as there are lists wrote them."""
    with ExitStack() as stack:
        connections = [stack.enter_context(bench.server.connect(name)) for _ in trades]

        def write(writer: int) -> None:
            for first in range(0, len(trades[writer]), batch_rows):
                batch = trades[writer][first : first + batch_rows]
                ingest_trades(connections[writer], batch, source=SOURCE, id_space=data.ID_SPACE)

        with ThreadPoolExecutor(len(trades)) as pool:
            return timed(lambda: list(pool.map(write, range(len(trades)))))
