"""What a trade costs in WAL, which is archived, sent to replicas and replayed."""

from collections.abc import Iterator

from bench.context import Bench
from bench.line import Sizes, Subject
from bench.loaders import Batches, in_batches, lively_trades, thin_trades
from bench.measure import MeasurementError, Row, only_row

TITLE = "WAL of a trade, by how it is written"
HOW = (
    "What ingest_trades() adds to the WAL, candles and commits included, over the number of trades:"
    " a fifth of a million, into an empty table, after a checkpoint. The first change of a page"
    " after each further checkpoint writes the whole page again, so a server whose checkpoints are"
    " close together writes more. Lively markets have some 260 trades a minute each, thin ones some"
    " 4.5. Batches of 100 are what a live writer commits."
)
SUBJECT = Subject.RETENTION
SIZES = Sizes.ONCE

_SMALL_BATCH = 100
_SINCE = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), %s)::bigint"


def run(bench: Bench) -> Iterator[Row]:
    """Weigh the WAL of three ways to write the same number of trades."""
    size = bench.effort.service_trades
    for label, trades, rows in (
        ("lively markets", lively_trades(size), bench.batch),
        ("thin markets", thin_trades(size), bench.batch),
        ("lively markets", lively_trades(size), min(_SMALL_BATCH, bench.batch // 2)),
    ):
        weighed = _weigh(bench, in_batches(trades, rows), size)
        yield Row(f"{label}, batches of {rows:,}", weighed, unit="bytes")


def _weigh(bench: Bench, batches: Batches, size: int) -> float:
    bench.progress("weighing the WAL of a load")
    with (
        bench.database(bench.templates.migrated) as name,
        bench.server.connect(name) as connection,
    ):
        bench.server.checkpoint()
        (start,) = only_row(connection, "SELECT pg_current_wal_insert_lsn()::text")
        bench.load(batches, size).through_helper(connection)
        (written,) = only_row(connection, _SINCE, start)
    if written <= 0:
        raise MeasurementError("the load wrote no WAL")
    return float(written / size)
