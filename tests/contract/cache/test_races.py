"""The cache's races: reads beside corrections, and many readers of one missing entry."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from entasis_db import queries
from entasis_db.cache import Cache
from entasis_db.cache.steps import Join, Lookup, Query, Store
from entasis_db.ingest import ingest_trades
from entasis_db.queries import INTERVALS, Statement
from tests import oracle
from tests.caches import RedisServer
from tests.contract.cache.support import (
    DAY,
    Driven,
    assert_caches_are_right,
    candles,
    counted,
    heard,
    open_cache,
    store,
    until,
)
from tests.engines import Database
from tests.make import NOON, trade

pytestmark = [pytest.mark.copy, pytest.mark.several_connections, pytest.mark.newest_server]


# --- races ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("lease_again", [False, True], ids=["alone", "beside another reader"])
def test_what_was_read_before_a_correction_is_not_stored_after_it(
    database: Database, redis: RedisServer, lease_again: bool
) -> None:
    with (
        database.connect() as connection,
        open_cache(database.dsn, redis) as first,
        open_cache(database.dsn, redis) as second,
    ):
        store(connection, trade(1))
        heard(first, second)
        reader = Driven(first, candles())
        reader.query()
        assert isinstance(reader.step, Store)
        store(connection, trade(2))
        heard(first, second)
        other = Driven(second, candles()).go(Query) if lease_again else None
        reader.go()
        assert reader.rows is not None
        assert counted(reader.rows) == 1  # it began before the correction
        for cache in (first, second) if other is None else (first,):
            assert counted(candles().fetch(cache)) == 2
        if other is not None:
            other.go()
            assert other.rows is not None
            assert counted(other.rows) == 2
            assert counted(candles().fetch(second)) == 2
        with open_cache(database.dsn, redis) as third:
            assert counted(candles().fetch(third)) == 2


def test_nobody_joins_a_fetch_that_began_before_a_correction(
    database: Database, redis: RedisServer
) -> None:
    with database.connect() as connection, open_cache(database.dsn, redis) as cache:
        store(connection, trade(1))
        heard(cache)
        early = Driven(cache, candles())
        early.query()
        joined = Driven(cache, candles())
        assert isinstance(joined.step, Join)
        store(connection, trade(2))
        heard(cache)
        late = Driven(cache, candles())
        assert not isinstance(late.step, Join)
        late.go()
        assert late.rows is not None
        assert counted(late.rows) == 2
        early.go()
        joined.go()
        assert joined.rows is not None
        assert counted(joined.rows) == 1
        assert counted(candles().fetch(cache)) == 2


def test_a_value_that_was_fetched_from_redis_before_a_correction(
    database: Database, redis: RedisServer
) -> None:
    with (
        database.connect() as connection,
        open_cache(database.dsn, redis) as first,
        open_cache(database.dsn, redis) as second,
    ):
        store(connection, trade(1))
        heard(first, second)
        candles().fetch(second)
        reader = Driven(first, candles())
        assert isinstance(reader.step, Lookup)
        reply = first._do(reader.step)
        assert reply[1][:1] == b"V"
        store(connection, trade(2))
        heard(first, second)
        with pytest.raises(StopIteration):
            reader.steps.send(reply)
        assert counted(candles().fetch(first)) == 2


@pytest.mark.parametrize("late", [NOON - timedelta(days=400), NOON], ids=["wide", "narrow"])
def test_a_wide_range_of_trades(database: Database, redis: RedisServer, late: datetime) -> None:
    with database.connect() as connection, open_cache(database.dsn, redis) as cache:
        connection.execute(
            "SELECT entasis.ensure_partitions('market_data', %s, %s)", [late, NOON + DAY]
        )
        store(connection, trade(1), trade(1, symbol="ETH"))
        assert counted(candles().fetch(cache)) == 1
        store(connection, trade(2), trade(3, timestamp=late))
        heard(cache)
        with open_cache(database.dsn, redis) as fresh:
            expected = candles().fetch(connection)
            assert candles().fetch(fresh) == candles().fetch(cache) == expected


@pytest.mark.announced_sql
def test_readers_beside_writers_and_refreshes(database: Database, redis: RedisServer) -> None:
    """Whatever is read, and stored, between the commits of a writer or of a refresh."""
    questions: list[Statement[Any]] = [
        *(candles(name, NOON - DAY, 40 * DAY if name == "1mo" else 2 * DAY) for name in INTERVALS),
        queries.latest_price("BTC", "x"),
        queries.latest_prices(),
    ]
    done = threading.Event()

    def write(first: int) -> None:
        chance = random.Random(first)
        with database.connect() as connection:
            for n in range(first, first + 25):
                at = NOON + timedelta(seconds=chance.randrange(-20_000, 20_000))
                ingest_trades(connection, [trade(n, timestamp=at)], source="f", id_space="ordinal")
                connection.execute(
                    "DELETE FROM entasis.market_data WHERE id = %s",
                    [chance.randrange(first, first + 25)],
                )

    def refresh() -> None:
        with database.connect() as connection:
            while not done.is_set():
                oracle.refresh(connection)

    def read(cache: Cache, seed: int) -> None:
        chance = random.Random(seed)
        while not done.is_set():
            chance.choice(questions).fetch(cache)

    with (
        database.connect() as connection,
        open_cache(database.dsn, redis) as first,
        open_cache(database.dsn, redis) as second,
        ThreadPoolExecutor(8) as pool,
    ):
        store(connection, trade(0))
        others = [pool.submit(read, cache, n) for n, cache in enumerate((first, second) * 2)]
        others.append(pool.submit(refresh))
        try:
            for task in [pool.submit(write, first) for first in (100, 200)]:
                task.result()
        finally:
            done.set()
        for task in others:
            task.result()
        oracle.refresh(connection)
        heard(first, second)
        assert_caches_are_right(connection, questions, first, second)


# --- stampedes -----------------------------------------------------------------------------------


def test_a_stampede_makes_one_query(database: Database, redis: RedisServer) -> None:
    with (
        database.connect() as connection,
        open_cache(database.dsn, redis, max_wait=timedelta(seconds=60)) as first,
        open_cache(database.dsn, redis, max_wait=timedelta(seconds=60)) as second,
    ):
        store(connection, trade(1))
        heard(first, second)
        with ThreadPoolExecutor(12) as pool:
            with connection.transaction():
                connection.execute("LOCK TABLE entasis.ohlcv_1m IN ACCESS EXCLUSIVE MODE")
                found = [pool.submit(candles().fetch, cache) for cache in (first, second) * 6]
                until(lambda: first.metrics().queries + second.metrics().queries)
                threading.Event().wait(0.2)
            assert [counted(rows.result()) for rows in found] == [1] * 12
        assert first.metrics().queries + second.metrics().queries == 1


def test_a_fetch_that_fails_leaves_nobody_waiting(database: Database, redis: RedisServer) -> None:
    with database.connect() as connection, open_cache(database.dsn, redis) as cache:
        store(connection, trade(1))
        heard(cache)
        failing = Driven(cache, candles()).go(Query)
        waiting = Driven(cache, candles())
        assert isinstance(waiting.step, Join)
        with pytest.raises(psycopg.OperationalError):
            step = failing.steps.throw(psycopg.OperationalError())
            while True:
                step = failing.steps.send(cache._do(step))
        # the lease was given back: another process need not wait for it
        with open_cache(database.dsn, redis) as other:
            read = Driven(other, candles())
            assert isinstance(read.step, Lookup)
            assert other._do(read.step)[1] == b"L"
        waiting.go()
        assert waiting.rows is not None
        assert counted(waiting.rows) == 1


def test_a_lease_of_a_process_that_died_is_not_waited_for_long(
    database: Database, redis: RedisServer
) -> None:
    with (
        database.connect() as connection,
        open_cache(database.dsn, redis) as dead,
        open_cache(database.dsn, redis, max_wait=timedelta(milliseconds=50)) as cache,
    ):
        store(connection, trade(1))
        heard(dead, cache)
        Driven(dead, candles()).go(Query)
        assert counted(candles().fetch(cache)) == 1
        assert cache.metrics().queries == 1
