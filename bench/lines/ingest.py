"""Clean batches through ingest_trades(), against COPY."""

from collections.abc import Iterator

from bench.context import LARGE_SIZE, Bench
from bench.line import Sizes, Subject
from bench.loaders import LIVELY_TRADES_A_MINUTE, Trades, in_batches, lively_trades
from bench.measure import Row, Target, alternate, ratio

TITLE = "Ingest of clean batches, against plain COPY into the same indexed table"
HOW = (
    "Throughput of ingest_trades() over that of COPY (text from memory, the same client library,"
    " batches, order and transactions) into a database migrated in the same way with its triggers"
    " disabled. Every load begins with an empty database and a checkpoint; making trades and text"
    " is not timed. The more trades a minute has, the less its candles cost: lively markets have"
    f" some {LIVELY_TRADES_A_MINUTE} each, the others what `storage` tells. More than"
    f" {LARGE_SIZE:,} trades are loaded in one round only."
)
SUBJECT = Subject.LOADING
SIZES = Sizes.EACH


def run(bench: Bench) -> Iterator[Row]:
    """Load by small and by large batches, and lively markets."""
    yield _row(bench, bench.stored_trades, bench.batch)
    yield _row(bench, bench.stored_trades, bench.effort.large_batch)
    if bench.size <= LARGE_SIZE:
        yield _row(bench, lively_trades(bench.size), bench.batch, ", lively markets")


def _row(bench: Bench, trades: Trades, batch_rows: int, which: str = "") -> Row:
    what = f"{bench.size:,} trades in batches of {batch_rows:,}{which}"
    load = bench.load(in_batches(trades, batch_rows))
    plain, migrated = bench.templates.plain, bench.templates.migrated
    samples = alternate(
        {
            "plain COPY": bench.fresh(plain, f"{what}: plain COPY", load.by_copy),
            "helper": bench.fresh(migrated, f"{what}: helper", load.through_helper),
        },
        bench.load_rounds,
    )
    return ratio(what, samples, "plain COPY", "helper", Target(">=", 0.7))
