"""What the candles of one batch cost over a full table."""

from collections.abc import Iterator
from functools import partial
from itertools import islice

from bench.context import Bench
from bench.line import Sizes, Subject
from bench.measure import Row, Target, alternate, ratio
from bench.upkeep import put_batch, trigger_seconds
from entasis_db.model import Trade

TITLE = "Candle upkeep of one batch of 10,000 trades, against an empty table"
HOW = (
    "Time of the insert trigger, as EXPLAIN (ANALYZE) of INSERT ... SELECT reports it, over that of"
    " the same batch into an empty table. Alternated, rolled back and vacuumed each time; the first"
    " round is dropped."
)
SUBJECT = Subject.CANDLES
SIZES = Sizes.EACH

_LATE_IDS = 10**12
"""Added to the ids of late trades, so that they are not those of stored ones."""


def run(bench: Bench) -> Iterator[Row]:
    """Take a batch that comes after the stored trades, and one that comes among them."""
    with (
        bench.database(bench.loaded, "full") as full,
        bench.database(bench.templates.migrated, "empty") as empty,
        bench.server.connect(full) as full_table,
        bench.server.connect(empty) as empty_table,
    ):
        bench.server.checkpoint()
        for label, batch, where in (
            ("in order", bench.next_batch(), "right after them"),
            ("late", _late_batch(bench), "in their middle"),
        ):
            bench.progress(f"candle upkeep of a batch that is {label}, over {bench.size:,} trades")
            for connection in (full_table, empty_table):
                put_batch(connection, batch)
            samples = alternate(
                {
                    "full table": partial(trigger_seconds, full_table),
                    "empty table": partial(trigger_seconds, empty_table),
                },
                bench.effort.short_rounds,
                warm_up=1,
            )
            what = f"over {bench.size:,} trades, {where}"
            yield ratio(what, samples, "full table", "empty table", Target("<=", 1.3))


def _late_batch(bench: Bench) -> list[Trade]:
    """Return new trades at moments of stored ones: each bucket that they touch has a candle."""
    begin = (bench.size - bench.batch) // 2
    stored = islice(bench.stored_trades(), begin, begin + bench.batch)
    return [trade._replace(id=trade.id + _LATE_IDS) for trade in stored]
