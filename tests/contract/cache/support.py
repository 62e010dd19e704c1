"""What the cache's tests share: a cache, trades for it, and waiting until it has heard of them."""

import json
import random
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import psycopg
from hypothesis import strategies as st

from entasis_db import queries
from entasis_db.cache import AsyncCache, Cache, CachePolicy, Refresh
from entasis_db.cache.steps import Query, Step
from entasis_db.ingest import ingest_trades
from entasis_db.model import Trade
from entasis_db.queries import INTERVALS, Interval, Statement
from tests import oracle
from tests.caches import RedisServer
from tests.db import Connection, fire_no_triggers
from tests.make import NOON, D, trade

MINUTE = timedelta(minutes=1)

DAY = timedelta(days=1)

# so long that nothing but an invalidation can make a test pass
LONG = CachePolicy(candles={name: Refresh(DAY, DAY) for name in INTERVALS}, latest=DAY, chains=DAY)


def open_cache(dsn: str, redis: RedisServer | None, **options: Any) -> Cache:
    options = {"policy": LONG, "redis_timeout": timedelta(seconds=2), **options}
    return Cache(dsn, None if redis is None else redis.url, **options)


def store(connection: Connection, *trades: Trade) -> None:
    """Store trades; outside a transaction, also bring their candles up to date."""
    report = ingest_trades(connection, trades, source="f", id_space="ordinal")
    assert report.quarantined == 0
    if connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
        oracle.refresh(connection)


def candles(
    interval: Interval = "1m", start: datetime = NOON, length: timedelta = 10 * MINUTE
) -> Statement[queries.Candle]:
    return queries.candles("BTC", "x", interval, start, start + length)


def counted(rows: list[queries.Candle]) -> int:
    return sum(row.trades for row in rows)


def heard(*caches: Cache | AsyncCache) -> None:
    """Wait until the caches have handled everything that was committed before."""
    told = []
    for cache in caches:
        event, nonce = threading.Event(), f"barrier {random.random()}"
        evictor = cache._listener._evictor
        inner = evictor.evict

        def handled(
            message: Mapping[str, Any],
            inner: Any = inner,
            event: threading.Event = event,
            nonce: str = nonce,
        ) -> None:
            inner(message)
            if message.get("barrier") == nonce:
                event.set()

        evictor.evict = handled  # type: ignore[method-assign]
        told.append((cache, inner, event, nonce))
    with psycopg.connect(caches[0]._conninfo, autocommit=True) as connection:
        for _, _, _, nonce in told:
            connection.execute(
                "SELECT pg_notify(entasis_internal.cache_channel_name(), %s)",
                [json.dumps({"options": [], "barrier": nonce})],
            )
    for cache, inner, event, _ in told:
        assert event.wait(20)
        cache._listener._evictor.evict = inner  # type: ignore[method-assign]


def unseen(connection: Connection, number: int) -> None:
    """Change candles as replication does: no trigger sees it."""
    with connection.transaction():
        fire_no_triggers(connection)
        connection.execute(
            f"UPDATE {oracle.candle_table(connection, '1m')} SET trades = {number}".encode()
        )


def until(said: Callable[[], object]) -> None:
    for _ in range(2_000):
        if said():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it did not come to pass")


@st.composite
def trades(draw: st.DrawFn) -> Trade:
    number = draw(st.integers(0, 40))
    return trade(
        number,
        timestamp=NOON + timedelta(minutes=draw(st.integers(-3000, 3000)), seconds=number),
        price=D(draw(st.integers(1, 10**11))).scaleb(-draw(st.integers(0, 12))),
        volume=D(draw(st.sampled_from(["1", "0.10", "1E-12", "100", "1E+2"]))),
    )


def exactly(rows: list[Any]) -> str:
    """Show also what == does not tell apart: 1 and 1.0, UTC and another zone."""
    return repr(rows)


def assert_caches_are_right(
    connection: Connection, questions: list[Statement[Any]], *caches: Cache
) -> None:
    """Compare what every cache answers with what the database does, to the last digit."""
    for question in questions:
        direct = exactly(question.fetch(connection))
        for cache in caches:
            assert exactly(question.fetch(cache)) == direct


class Driven:
    """A read that goes on only when it is told to."""

    def __init__(self, cache: Cache, statement: Statement[Any]) -> None:
        self.cache = cache
        self.steps = cache._reads.read(statement)
        self.step: Step | None = next(self.steps)
        self.rows: list[Any] | None = None

    def go(self, upto: type[Step] | None = None) -> "Driven":
        """Do the steps up to the first of this kind, which is not done; or all."""
        while self.step is not None and (upto is None or not isinstance(self.step, upto)):
            try:
                self.step = self.steps.send(self.cache._do(self.step))
            except StopIteration as done:
                self.step, self.rows = None, done.value
        return self

    def query(self) -> None:
        """Run the query and stop right after it."""
        self.go(Query)
        self.step = self.steps.send(self.cache._do(self.step))
