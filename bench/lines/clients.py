"""Trades that are Python objects, by the COPY of each client."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.metadata import version
from time import perf_counter

import psycopg
from psycopg import sql

from bench import data, real
from bench.clients import by_asyncpg, by_psycopg, rows
from bench.context import Bench
from bench.line import Sizes, Subject
from bench.loaders import (
    DOCUMENT_MARKET_DATA,
    SOURCE,
    Connection,
    in_batches,
    lively_trades,
)
from bench.measure import LeftOut, MeasurementError, Row, alternate, only_row, ratio, timed
from entasis_db.ingest import ingest_trades
from entasis_db.model import Trade

TITLE = (
    "Trades from Python by psycopg, asyncpg and ingest_trades(), against COPY of ready text (L2)"
)
HOW = (
    "Throughput over that of COPY of text that lies in memory into the source document's layout"
    " without candles (L2, as in `document`). psycopg writes the same trades there row by row, as"
    " text and binary, and asyncpg by copy_records_to_table(), from tuples in the order of the key;"
    " ingest_trades() sorts and judges them, and keeps their candles. The same server, batches and"
    " transactions; every load begins with an empty table and a checkpoint."
    f" psycopg {psycopg.__version__}, asyncpg {version('asyncpg')}."
    f" Real trades are those of {real.FILE}, where it lies beside the checkout."
)
SUBJECT = Subject.LOADING
SIZES = Sizes.ONCE

_ARMS = {
    "psycopg, text": "psycopg, rows as text",
    "psycopg, binary": "psycopg, rows in binary",
    "asyncpg": "asyncpg",
    "helper": "ingest_trades() with candles",
}
_COPY = sql.SQL("COPY {} ({}) FROM STDIN").format(
    DOCUMENT_MARKET_DATA, sql.SQL(data.DOCUMENT_COLUMNS)
)
# real trades lie in another month than the made-up ones
_OUR_MONTH = "SELECT entasis.ensure_partitions('market_data', '2024-08-01Z', '2024-09-01Z')"
_MONTH = """
    CREATE TABLE public.market_data_more PARTITION OF public.market_data
    FOR VALUES FROM ('2024-08-01Z') TO ('2024-09-01Z')
"""
Batches = Sequence[list[Trade]]


def run(bench: Bench) -> Iterator[Row]:
    """Load made-up trades of lively markets, then real ones."""
    size = bench.effort.service_trades
    yield from _rows(bench, list(in_batches(lively_trades(size), bench.batch)()), "made up")
    try:
        trades = real.trades(size)
    except LeftOut:
        return
    yield from _rows(bench, list(data.batches(trades, bench.batch)), "real")


def _rows(bench: Bench, batches: Batches, which: str) -> Iterator[Row]:
    number = sum(map(len, batches))
    what = f"{number:,} trades, {which}"
    texts = [data.payload(batch, data.DOCUMENT_COLUMNS) for batch in batches]
    tuples = [rows(batch) for batch in batches]
    with (
        bench.database(bench.templates.document) as name,
        bench.server.connect(name) as connection,
    ):
        connection.execute(_MONTH)
        loads: dict[str, Callable[[], float]] = {
            "L2": lambda: timed(lambda: _copy(connection, texts)),
            "psycopg, text": lambda: by_psycopg(connection, tuples, binary=False),
            "psycopg, binary": lambda: by_psycopg(connection, tuples, binary=True),
            "asyncpg": lambda: by_asyncpg(bench.server.dsn(name), tuples),
        }

        def arm(label: str, load: Callable[[], float]) -> float:
            bench.progress(f"{what}: {label}")
            connection.execute("TRUNCATE public.market_data")
            bench.server.checkpoint()
            seconds = load()
            (stored,) = only_row(connection, "SELECT count(*) FROM public.market_data")
            if stored != number:
                raise MeasurementError(f"{label} came to {stored} of {number} trades")
            return seconds

        helper = partial(_helper, batches=batches)
        arms: dict[str, Callable[[], float]] = {
            **{label: partial(arm, label, load) for label, load in loads.items()},
            "helper": bench.fresh(bench.templates.migrated, f"{what}: helper", helper),
        }
        samples = alternate(arms, bench.effort.rounds)
    for name, label in _ARMS.items():
        yield ratio(f"{what}: {label} / L2", samples, "L2", name)


def _copy(connection: Connection, texts: Sequence[bytes]) -> None:
    for text in texts:
        with connection.transaction(), connection.cursor() as cursor, cursor.copy(_COPY) as copy:
            copy.write(text)


def _helper(connection: Connection, batches: Batches) -> float:
    connection.execute(_OUR_MONTH)
    seconds = 0.0
    for batch in batches:
        began = perf_counter()
        report = ingest_trades(connection, batch, source=SOURCE, id_space=data.ID_SPACE)
        seconds += perf_counter() - began
        if report.inserted != len(batch):
            raise MeasurementError(f"a batch of {len(batch)} trades came to {report}")
    return seconds
