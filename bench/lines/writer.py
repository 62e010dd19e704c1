"""The live writer, fed one trade at a time."""

import asyncio
import gc
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from time import perf_counter, sleep
from typing import Any

import psycopg

from bench import data
from bench.context import Bench
from bench.line import Sizes, Subject
from bench.loaders import SOURCE, two_hours
from bench.measure import Row, Target, alternate, ratio
from entasis_db.live import AsyncTickWriter, TickWriter
from entasis_db.model import Trade

TITLE = "The live writer, fed one trade at a time, against batches given to ingest_trades()"
HOW = (
    "Throughput of put() to the last commit over that of ingest_trades() given batches of 10,000."
    " Latency at a low rate: the longest time from put() to the commit, over the configured"
    " max_age; 40 trades, ten a second."
)
SUBJECT = Subject.SERVICES
SIZES = Sizes.ONCE

_MAX_AGE = timedelta(milliseconds=250)
_LOW_RATE_TRADES = 40
_OPTIONS: dict[str, Any] = {"source": SOURCE, "id_space": data.ID_SPACE}


def run(bench: Bench) -> Iterator[Row]:
    """Feed both writers."""
    rows = two_hours(bench.effort.service_trades)
    size = bench.effort.batch
    batches = [rows[n : n + size] for n in range(0, len(rows), size)]

    def helper(dsn: str) -> float:
        with psycopg.connect(dsn, autocommit=True) as connection:
            return bench.load(lambda: batches, len(rows)).through_helper(connection)

    loads: dict[str, Callable[[str], float]] = {
        "batches": helper,
        "sync": lambda dsn: _sync(dsn, rows),
        "async": lambda dsn: asyncio.run(_async(dsn, rows)),
    }
    samples = alternate(
        {name: _arm(bench, f"{len(rows):,} trades: {name}", load) for name, load in loads.items()},
        bench.effort.rounds,
    )
    for name in ("sync", "async"):
        what = f"{len(rows):,} trades, {name}"
        yield ratio(what, samples, "batches", name, Target(">=", 0.7))
    yield _latency(bench, rows[: min(_LOW_RATE_TRADES, bench.effort.service_trades // 100)])


def _sync(dsn: str, rows: Sequence[Trade]) -> float:
    with TickWriter(dsn, **_OPTIONS) as writer:
        began = perf_counter()
        for row in rows:
            writer.put(row)
        writer.flush()
        return perf_counter() - began


async def _async(dsn: str, rows: Sequence[Trade]) -> float:
    async with AsyncTickWriter(dsn, **_OPTIONS) as writer:
        began = perf_counter()
        for row in rows:
            await writer.put(row)
        await writer.flush()
        return perf_counter() - began


def _arm(bench: Bench, label: str, load: Callable[[str], float]) -> Callable[[], float]:
    def arm() -> float:
        bench.progress(label)
        with bench.database(bench.templates.migrated) as database:
            bench.server.checkpoint()
            gc.collect()
            return load(bench.server.dsn(database))

    return arm


def _latency(bench: Bench, rows: Sequence[Trade]) -> Row:
    found = []
    bench.progress("latency at a low rate")
    with (
        bench.database(bench.templates.migrated) as database,
        TickWriter(bench.server.dsn(database), **_OPTIONS, max_age=_MAX_AGE) as writer,
    ):
        writer.put(rows[0])  # which makes the months, once
        writer.flush()
        for row in rows[1:]:
            began = perf_counter()
            writer.put(row)
            while writer.metrics().queued:
                sleep(0.001)
            found.append((perf_counter() - began) / _MAX_AGE.total_seconds())
            sleep(max(0.0, 0.1 - (perf_counter() - began)))
    return Row("latency, longest", max(found), min(found), max(found), len(found), Target("<=", 1))
