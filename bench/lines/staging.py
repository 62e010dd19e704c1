"""Batches that COPY refuses, against COPY of what it takes."""

from collections.abc import Iterator

from bench.context import LARGE_SIZE, Bench
from bench.line import Sizes, Subject
from bench.loaders import in_batches
from bench.measure import Row, Target, alternate, ratio

TITLE = "Ingest through staging, against plain COPY into the same indexed table"
HOW = (
    "As `ingest`, but each batch repeats one trade of the batch before, drawn at random: COPY fails"
    f" on it, and the batch goes through staging. Not taken with more than {LARGE_SIZE:,} trades."
)
SUBJECT = Subject.LOADING
SIZES = Sizes.EACH


def run(bench: Bench) -> Iterator[Row]:
    """Load by small and by large batches."""
    bench.leave_out_large()
    for batch_rows in (bench.batch, bench.effort.large_batch):
        what = f"{bench.size:,} trades in batches of {batch_rows:,}"
        load = bench.load(in_batches(bench.stored_trades, batch_rows))
        plain, migrated = bench.templates.plain, bench.templates.migrated
        samples = alternate(
            {
                "plain COPY": bench.fresh(plain, f"{what}: plain COPY", load.by_copy),
                "staging": bench.fresh(migrated, f"{what}: staging", load.through_staging),
            },
            bench.load_rounds,
        )
        yield ratio(what, samples, "plain COPY", "staging", Target(">=", 0.4))
