"""The same load twice."""

from collections.abc import Iterator
from functools import partial

from bench.context import Bench
from bench.line import Sizes, Subject
from bench.loaders import Connection, Load, in_batches, thin_trades
from bench.measure import Row, Samples, Target, ratio

TITLE = "Repeating a load that is all there, against loading it first"
HOW = (
    "Throughput of ingest_trades() given the same batches a second time, when every trade is"
    " stored and nothing changes, over that of the first time, candles included. The first load"
    " begins with an empty database and a checkpoint, the second one after it with a checkpoint;"
    " thin markets, as in `document`."
)
SUBJECT = Subject.LOADING
SIZES = Sizes.EACH


def run(bench: Bench) -> Iterator[Row]:
    """Load and repeat, round by round: the second load cannot come before the first."""
    bench.leave_out_large()
    what = f"{bench.size:,} trades in batches of {bench.batch:,}"
    samples: Samples = {"first": [], "again": []}
    load = bench.load(in_batches(thin_trades(bench.size), bench.batch))
    arm = bench.fresh(
        bench.templates.migrated, f"{what}, twice", partial(_twice, bench, load, samples["again"])
    )
    for _ in range(bench.load_rounds):
        samples["first"].append(arm())
    yield ratio(what, samples, "first", "again", Target(">=", 2))


def _twice(bench: Bench, load: Load, again: list[float], connection: Connection) -> float:
    first = load.through_helper(connection)
    bench.server.checkpoint()
    again.append(load.again(connection))
    return first
