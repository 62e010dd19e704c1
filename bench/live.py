"""The lines about live services: the writer, the cache, what telling it costs, and Arrow."""

import asyncio
import csv
import gc
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from time import monotonic, perf_counter, sleep
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq

from bench import data
from bench.lines import BATCH, Bench, load_through_helper
from bench.measure import MeasurementError, Row, Samples, Target, alternate, ratio, timed
from entasis_db import queries
from entasis_db.cache import Cache, CachePolicy, Refresh
from entasis_db.ingest import ingest_trades, load_trades
from entasis_db.live import SyncTickWriter, TickWriter
from entasis_db.model import Trade
from entasis_db.queries import INTERVALS, Statement
from tests.caches import program, redis_server

_TRADES = 200_000
_ROUNDS = 3
_READS = 15
_DAY = timedelta(days=1)
_LONG = CachePolicy(candles={name: Refresh(_DAY, _DAY) for name in INTERVALS}, latest=_DAY)


def _made(number: int) -> list[Trade]:
    return list(islice(data.trades(number, hours=2), number))


# ------------------------------------------------------------------ 10: the writer


def writer(bench: Bench) -> None:
    """Feed the writer one trade at a time, against batches that are there already."""
    rows = _made(_TRADES)
    batches = [rows[n : n + BATCH] for n in range(0, len(rows), BATCH)]

    def helper(dsn: str) -> float:
        with psycopg.connect(dsn, autocommit=True) as connection:
            return load_through_helper(connection, bench, len(rows), lambda: batches)

    def sync(dsn: str) -> float:
        with SyncTickWriter(dsn, source="bench", id_space=data.ID_SPACE) as live:
            began = perf_counter()
            for row in rows:
                live.put(row)
            live.flush()
            return perf_counter() - began

    async def run(dsn: str) -> float:
        async with TickWriter(dsn, source="bench", id_space=data.ID_SPACE) as live:
            began = perf_counter()
            for row in rows:
                await live.put(row)
            await live.flush()
            return perf_counter() - began

    def arm(name: str, load: Callable[[str], float]) -> Callable[[], float]:
        def measure() -> float:
            bench.progress(f"{len(rows):,} trades, one at a time: {name}")
            with bench.database(bench.migrated, "arm") as database:
                bench.server.checkpoint()
                gc.collect()
                return load(bench.server.dsn(database))

        return measure

    loads: dict[str, Callable[[str], float]] = {
        "batches": helper,
        "sync": sync,
        "async": lambda dsn: asyncio.run(run(dsn)),
    }
    samples = alternate({name: arm(name, load) for name, load in loads.items()}, _ROUNDS)
    bench.add(
        11,
        "The live writer, fed one trade at a time",
        f"Throughput of put() to the last commit over that of ingest_trades() given batches of"
        f" {BATCH:,}. Latency at a low rate: the longest time from put() to the commit, over the"
        " configured max_age; 40 trades, ten a second.",
        ratio(f"{len(rows):,} trades, sync", samples, "batches", "sync", Target(">=", 0.7)),
        ratio(f"{len(rows):,} trades, async", samples, "batches", "async", Target(">=", 0.7)),
        _latency(bench, rows[:40]),
    )


def _latency(bench: Bench, rows: Sequence[Trade]) -> Row:
    age = timedelta(milliseconds=250)
    found = []
    with bench.database(bench.migrated, "arm") as database:
        options: dict[str, Any] = {"source": "bench", "id_space": data.ID_SPACE, "max_age": age}
        with SyncTickWriter(bench.server.dsn(database), **options) as live:
            live.put(rows[0])  # which makes the months, once
            live.flush()
            for row in rows[1:]:
                began = perf_counter()
                live.put(row)
                while live.metrics().queued:
                    sleep(0.001)
                found.append((perf_counter() - began) / age.total_seconds())
                sleep(max(0.0, 0.1 - (perf_counter() - began)))
    return Row("latency, longest", max(found), min(found), max(found), len(found), Target("<=", 1))


# ------------------------------------------------------------------ 11: the cache


def cache(bench: Bench, loaded: str) -> None:
    """Read the same from the database, from Redis, and from this process's memory."""
    if program() is None:
        bench.progress("no Redis here: line 12 is left out")
        return
    market = data.BUSY_MARKET
    start = data.BUSY_DAY
    of = partial(queries.candles, market.symbol, market.exchange)
    questions: dict[str, Statement[Any]] = {
        "an hour of minutes": of("1m", start, start + _DAY / 24),
        "a day of minutes": of("1m", start, start + _DAY),
        "a week of hours": of("1h", start - 3 * _DAY, start + 4 * _DAY),
        "a latest price": queries.latest_price(market.symbol, market.exchange),
    }
    with ExitStack() as stack:
        redis = stack.enter_context(redis_server())
        connection = stack.enter_context(bench.server.connect(loaded))
        cached = stack.enter_context(Cache(bench.server.dsn(loaded), redis.url, policy=_LONG))
        for label, question in questions.items():
            bench.progress(f"reading {label} through the cache")
            expected = question.fetch(connection)
            if question.fetch(cached) != expected:
                raise MeasurementError("the cache says something else than the database")
            before = cached.metrics().queries

            def shared(question: Statement[Any] = question) -> float:
                seconds = 0.0
                for _ in range(10):
                    cached._core.local.forget()
                    seconds += timed(lambda: question.fetch(cached))
                return seconds

            def many(source: Any, question: Statement[Any] = question) -> float:
                return timed(lambda: [question.fetch(source) for _ in range(10)])

            samples = alternate(
                {
                    "database": partial(many, connection),
                    "redis": shared,
                    "memory": partial(many, cached),
                },
                _READS,
                warm_up=2,
            )
            if cached.metrics().queries != before:
                raise MeasurementError("a hit ran a query")
            rows = f"{label} ({len(expected):,} rows)"
            bench.add(
                12,
                "Reads through the cache, against the database",
                "Speed of a hit over that of the same query on an open connection, prepared as"
                " psycopg does after a few runs. Redis and the server run on this machine. No"
                " hit ran a query.",
                ratio(f"{rows}, Redis", samples, "database", "redis", Target(">=", 1)),
                ratio(f"{rows}, memory", samples, "database", "memory", Target(">=", 20)),
            )


# ------------------------------------------------------------------ 12: what telling costs


def telling(bench: Bench) -> None:
    """Write with and without somebody who listens."""
    silent = """
        CREATE OR REPLACE FUNCTION
            entasis_internal.notify_candle_changes(minutes entasis.ohlcv_1m[])
        RETURNS void LANGUAGE sql AS ''
    """

    def write(name: str, writers: int, rows: int, number: int) -> float:
        batches = {n: _own_market(n, rows * number) for n in range(writers)}
        connections = [bench.server.connect(name) for _ in batches]

        def run(n: int) -> None:
            for first in range(0, rows * number, rows):
                batch = batches[n][first : first + rows]
                ingest_trades(connections[n], batch, source="b", id_space=data.ID_SPACE)

        try:
            with ThreadPoolExecutor(writers) as pool:
                return timed(lambda: list(pool.map(run, batches)))
        finally:
            for connection in connections:
                connection.close()

    for writers, rows, number in ((1, BATCH, 8), (1, 100, 100), (4, 100, 50)):
        label = f"{writers} writer{'s' * (writers > 1)}, batches of {rows:,}"

        def arm(
            how: str,
            writers: int = writers,
            rows: int = rows,
            number: int = number,
            label: str = label,
        ) -> float:
            bench.progress(f"{label}: {how}")
            with bench.database(bench.migrated, "arm") as name, ExitStack() as stack:
                if how == "without":
                    with bench.server.connect(name) as connection:
                        connection.execute(silent)
                if how == "heard":
                    stack.enter_context(Cache(bench.server.dsn(name)))
                bench.server.checkpoint()
                return write(name, writers, rows, number)

        names = ("without", "unheard", "heard")
        samples: Samples = alternate({how: partial(arm, how) for how in names}, _ROUNDS)
        bench.add(
            13,
            "Telling caches what changed",
            "Throughput of ingest_trades() over that with a database that tells nobody anything:"
            " with nobody listening, and with one cache.",
            ratio(f"{label}, nobody listens", samples, "without", "unheard", Target(">=", 0.9)),
            ratio(f"{label}, one cache", samples, "without", "heard"),
        )


def _own_market(number: int, rows: int) -> list[Trade]:
    return [
        row._replace(symbol=f"M{number}", exchange="x", id=n) for n, row in enumerate(_made(rows))
    ]


# ------------------------------------------------------------------ 13: Arrow


def arrow(bench: Bench) -> None:
    """Load one Parquet file, against the same trades as CSV."""
    rows = _made(_TRADES)
    with tempfile.TemporaryDirectory(prefix="entasis-bench-") as folder:
        text, parquet = Path(folder) / "trades.csv", Path(folder) / "trades.parquet"
        with text.open("w", newline="") as file:
            out = csv.writer(file)
            names = "exchange,symbol,timestamp_ns,sequence,trade_id,price,volume"
            out.writerow(names.split(","))
            for n, (symbol, exchange, time, number, price, volume) in enumerate(rows):
                stamp = (time - data.START) // timedelta(microseconds=1) * 1000
                stamp += int(data.START.timestamp()) * 10**9
                out.writerow([exchange, symbol, stamp, n, number, price, volume])
        decimal = pa.decimal128(24, 12)
        schema = pa.schema(
            [
                *(("symbol", pa.string()), ("exchange", pa.string())),
                *(("timestamp", pa.timestamp("us", "UTC")), ("id", pa.int64())),
                *(("price", decimal), ("volume", decimal)),
            ]
        )
        pq.write_table(pa.Table.from_pylist([r._asdict() for r in rows], schema), parquet)

        def arm(path: Path) -> float:
            bench.progress(f"{len(rows):,} trades from {path.name}")
            with bench.database(bench.migrated, "arm") as name:
                bench.server.checkpoint()
                with bench.server.connect(name) as connection:
                    began = monotonic()
                    space = data.ID_SPACE if path is parquet else None
                    loaded = load_trades(connection, path, id_space=space)
                    seconds = monotonic() - began
                if loaded.report.inserted != len(rows):
                    raise MeasurementError(f"{path.name} came to {loaded.report}")
                return seconds

        samples = alternate({"csv": partial(arm, text), "parquet": partial(arm, parquet)}, _ROUNDS)
    bench.add(
        14,
        "Loading Parquet, against CSV",
        "Throughput of load_trades() from a Parquet file over that from the same trades as CSV,"
        " parsing included, in batches of 50,000.",
        ratio(f"{len(rows):,} trades", samples, "csv", "parquet", Target(">=", 1)),
    )
