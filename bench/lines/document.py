"""Loads with candles, against COPY into the source document's layout without any."""

from collections.abc import Callable, Iterator
from functools import partial

from bench import data
from bench.context import Bench
from bench.line import Sizes, Subject
from bench.loaders import (
    DOCUMENT_MARKET_DATA,
    THIN_TRADES,
    Connection,
    Load,
    in_batches,
    lively_trades,
    thin_trades,
)
from bench.measure import Row, Target, alternate, only_row, ratio

TITLE = "Ingest with candles, against COPY into the source document's own layout without them (L2)"
HOW = (
    "Throughput of ingest_trades(), of plain COPY into the migrated table (both keep candles), and"
    " of ingest_trades() through staging, over that of COPY into L2: the document's market_data"
    " with its columns and types, the key of a trade, its two indexes and months, and nothing else"
    " (bench/document.sql). The same server, batches, order and transactions, and the same text but"
    " for the side, which the document's layout has not; every load begins"
    " with an empty database and a checkpoint. How many trades a 1-minute candle has decides"
    f" what candles cost; thin markets have so few at {THIN_TRADES:,} trades over all the days, and"
    " fewer trades come from fewer days."
)
SUBJECT = Subject.LOADING
SIZES = Sizes.EACH


def run(bench: Bench) -> Iterator[Row]:
    """Load lively markets, then thin ones, those through staging too."""
    bench.leave_out_large()
    lively = bench.load(in_batches(lively_trades(bench.size), bench.batch))
    yield from _rows(bench, lively, "lively markets", Target(">=", 1.05))
    # more of them would not be thin any longer: there are so many days and no more
    size = min(bench.size, THIN_TRADES)
    thin = bench.load(in_batches(thin_trades(size), bench.batch), size)
    yield from _rows(bench, thin, "thin markets", Target(">=", 0.9), staged=Target(">=", 0.5))


def _rows(
    bench: Bench, load: Load, which: str, target: Target, *, staged: Target | None = None
) -> Iterator[Row]:
    what = f"{load.size:,} trades in batches of {bench.batch:,}, {which}"
    densities: set[float] = set()
    migrated = bench.templates.migrated
    ways: dict[str, tuple[str, Callable[[Connection], float]]] = {
        "L2": (
            bench.templates.document,
            partial(load.by_copy, table=DOCUMENT_MARKET_DATA, columns=data.DOCUMENT_COLUMNS),
        ),
        "helper": (migrated, partial(_and_density, load.through_helper, densities)),
        "COPY": (migrated, load.by_copy),
    }
    if staged is not None:
        ways["staging"] = (migrated, load.through_staging)
    samples = alternate(
        {way: bench.fresh(name, f"{what}: {way}", arm) for way, (name, arm) in ways.items()},
        bench.load_rounds,
    )
    yield ratio(f"{what}: helper with candles / L2", samples, "L2", "helper", target)
    yield ratio(f"{what}: COPY with candles / L2", samples, "L2", "COPY")
    if staged is not None:
        yield ratio(f"{what}: through staging / L2", samples, "L2", "staging", staged)
    (density,) = densities
    yield Row(f"{what}: trades in a 1-minute candle", density, unit="rows")


def _and_density(
    load: Callable[[Connection], float], densities: set[float], connection: Connection
) -> float:
    """Load, and find out how many trades a candle has; that is not timed."""
    seconds = load(connection)
    (density,) = only_row(
        connection, "SELECT (sum(trades) / count(*))::float8 FROM entasis.ohlcv_1m"
    )
    densities.add(density)
    return seconds
