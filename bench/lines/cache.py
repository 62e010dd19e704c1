"""Reads through the cache, against the database."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from typing import Any

from bench import data
from bench.context import Bench
from bench.line import Sizes, Subject
from bench.loaders import Connection
from bench.measure import LeftOut, MeasurementError, Row, Samples, Target, alternate, ratio, timed
from entasis_db import queries
from entasis_db.cache import Cache, CachePolicy, Refresh
from entasis_db.queries import INTERVALS, Statement
from tests.caches import program, redis_server

TITLE = "Reads through the cache, against the database"
HOW = (
    "Speed of a hit over that of the same query on an open connection, prepared as psycopg does"
    " after a few runs. Redis and the server run on this machine. No hit ran a query."
)
SUBJECT = Subject.SERVICES
SIZES = Sizes.ONCE

_READS = 10
"""Reads that are timed together."""
_DAY = timedelta(days=1)
_LONG = CachePolicy(candles={name: Refresh(_DAY, _DAY) for name in INTERVALS}, latest=_DAY)


def run(bench: Bench) -> Iterator[Row]:
    """Read the same from the database, from Redis, and from this process's memory."""
    if program() is None:
        raise LeftOut("there is no Redis here: install redis-server or valkey-server")
    with ExitStack() as stack:
        redis = stack.enter_context(redis_server())
        connection = stack.enter_context(bench.server.connect(bench.loaded))
        dsn = bench.server.dsn(bench.loaded)
        cached = stack.enter_context(Cache(dsn, redis.url, policy=_LONG))
        for label, question in _questions().items():
            bench.progress(f"reading {label} through the cache")
            rows = f"{label} ({_rows(question, connection, cached):,} rows)"
            samples = _read(bench, question, connection, cached)
            goal = 3 if label == "a latest price" else 1
            yield ratio(f"{rows}, Redis", samples, "database", "redis", Target(">=", goal))
            yield ratio(f"{rows}, memory", samples, "database", "memory", Target(">=", 20))


def _questions() -> dict[str, Statement[Any]]:
    market = data.BUSY_MARKET
    start = data.BUSY_DAY
    of = partial(queries.candles, market.symbol, market.exchange)
    return {
        "an hour of minutes": of("1m", start, start + _DAY / 24),
        "a day of minutes": of("1m", start, start + _DAY),
        "a week of hours": of("1h", start - 3 * _DAY, start + 4 * _DAY),
        "a latest price": queries.latest_price(market.symbol, market.exchange),
    }


def _rows(question: Statement[Any], connection: Connection, cached: Cache) -> int:
    """Return how many rows there are, the same from both; the cache has them from then on."""
    expected = question.fetch(connection)
    if question.fetch(cached) != expected:
        raise MeasurementError("the cache gives other rows than the database")
    return len(expected)


def _read(bench: Bench, question: Statement[Any], connection: Connection, cached: Cache) -> Samples:
    def from_redis() -> float:
        seconds = 0.0
        for _ in range(_READS):
            cached._memory.clear()
            seconds += timed(lambda: question.fetch(cached))
        return seconds

    def from_source(source: Any) -> float:
        return timed(lambda: [question.fetch(source) for _ in range(_READS)])

    before = cached.metrics().queries
    arms: dict[str, Callable[[], float]] = {
        "database": partial(from_source, connection),
        "redis": from_redis,
        "memory": partial(from_source, cached),
    }
    samples = alternate(arms, bench.effort.reads, warm_up=2)
    if cached.metrics().queries != before:
        raise MeasurementError("a hit ran a query")
    return samples
