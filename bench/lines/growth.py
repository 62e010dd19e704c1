"""How the speed of loading changes with the number of markets, and with writers side by side."""

from collections.abc import Callable, Iterator
from itertools import islice
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from time import perf_counter

import psycopg

from bench import data
from bench.context import Bench
from bench.line import Sizes, Subject
from bench.loaders import SOURCE, in_batches
from bench.measure import MeasurementError, Row, alternate, only_row, ratio
from entasis_db.ingest import ingest_trades
from entasis_db.model import Trade

MARKETS = (10, 100, 1_000)
WRITERS = (1, 2, 4)
MARKETS_OF_WRITERS = 100
PART = 5
TITLE = "ingest_trades() with more markets, and with more writers, against the fewest"
HOW = (
    f"Trades a second over those with {MARKETS[0]} markets, and with one writer; a"
    f" fifth of the size, spread over the markets in turn, in two hours: more markets have more"
    f" candles. Writers are processes with {MARKETS_OF_WRITERS} markets in all, each with its own"
    " part of them, and share the machine's cores with the server."
)
SUBJECT = Subject.LOADING
SIZES = Sizes.ONCE


def run(bench: Bench) -> Iterator[Row]:
    """Load what has more and more markets, then by more and more writers."""
    size = max(1, bench.size // PART)
    loads = {f"{markets:,} markets": _one_writer(bench, size, markets) for markets in MARKETS}
    yield from _against_the_first(bench, size, loads)
    loads = {
        f"{writers} writer{'s' * (writers > 1)}": _side_by_side(bench, size, writers)
        for writers in WRITERS
    }
    yield from _against_the_first(bench, size, loads)


def _against_the_first(
    bench: Bench, size: int, loads: dict[str, Callable[[], float]]
) -> Iterator[Row]:
    samples = alternate(loads, bench.effort.rounds)
    first, *others = loads
    for other in others:
        yield ratio(f"{size:,} trades: {other} against {first}", samples, first, other)


def _trades(size: int, markets: int) -> Iterator[Trade]:
    """Yield trades of two hours, the markets in turn; the ids of each rise from 1."""
    for number, trade in enumerate(data.trades(size, hours=2)):
        market = f"M{number % markets:04}"
        yield trade._replace(symbol=market, exchange="bench", id=number // markets + 1)


def _one_writer(bench: Bench, size: int, markets: int) -> Callable[[], float]:
    load = bench.load(in_batches(lambda: _trades(size, markets), bench.batch), size)
    what = f"{size:,} trades of {markets:,} markets"
    return bench.fresh(bench.templates.migrated, what, load.through_helper)


def _side_by_side(bench: Bench, size: int, writers: int) -> Callable[[], float]:
    def arm() -> float:
        bench.progress(f"{size:,} trades by {writers} writers")
        with bench.database(bench.templates.migrated) as database:
            bench.server.checkpoint()
            dsn = bench.server.dsn(database)
            seconds = _write_all(dsn, size, bench.batch, writers)
            with bench.server.connect(database) as connection:
                (stored,) = only_row(connection, "SELECT count(*) FROM entasis.market_data")
        if stored != size:
            raise MeasurementError(f"{writers} writers stored {stored} of {size} trades")
        return seconds

    return arm


def _write_all(dsn: str, size: int, batch: int, writers: int) -> float:
    """Return the seconds from the moment when all writers are ready until all are done."""
    # one process that has imported all this, and no connection, is what the writers are copies of
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    pipes, processes = [], []
    for writer in range(writers):
        here, there = context.Pipe()
        process = context.Process(
            target=_write, args=(there, dsn, size, batch, writer, writers), daemon=True
        )
        process.start()
        # so that the end of the process is seen here
        there.close()
        pipes.append(here)
        processes.append(process)
    try:
        for pipe in pipes:
            pipe.recv()
        began = perf_counter()
        for pipe in pipes:
            pipe.send(None)
        for pipe in pipes:
            pipe.recv()
        return perf_counter() - began
    except EOFError:
        raise MeasurementError("a writer has failed") from None
    finally:
        for process in processes:
            process.join(1)
            process.kill()


def _write(pipe: Pipe, dsn: str, size: int, batch: int, writer: int, writers: int) -> None:
    """Load this writer's part of the markets, once it is told to."""
    # writers divide the number of markets, so that each market has one of them
    own = list(islice(_trades(size, MARKETS_OF_WRITERS), writer, None, writers))
    batches = list(data.batches(own, batch))
    with psycopg.connect(dsn, autocommit=True) as connection:
        pipe.send(None)
        pipe.recv()
        for rows in batches:
            ingest_trades(connection, rows, source=SOURCE, id_space=data.ID_SPACE)
        pipe.send(None)
