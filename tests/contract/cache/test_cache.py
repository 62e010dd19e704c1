"""The cache: equal to the database to the last digit, and bounded in size and age."""

import asyncio
import random
import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import ANY

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from entasis_db import queries
from entasis_db.cache import AsyncCache, Cache, CachePolicy, Refresh
from entasis_db.cache.codec import decode, encode
from entasis_db.ingest import ingest_options, ingest_trades
from entasis_db.queries import INTERVALS, Statement
from entasis_db.queries.cache_rules import page_end, pages_between, touched_pages
from tests import oracle
from tests.caches import RedisServer
from tests.contract.cache.support import (
    DAY,
    LONG,
    MINUTE,
    assert_caches_are_right,
    candles,
    counted,
    exactly,
    heard,
    open_cache,
    store,
    trades,
    until,
)
from tests.engines import Database, Server
from tests.make import NOON, D, quote, trade

pytestmark = [pytest.mark.copy, pytest.mark.several_connections, pytest.mark.newest_server]


# --- exactly the database's rows -----------------------------------------------------------------

reads = st.tuples(st.sampled_from(INTERVALS), st.integers(-4000, 4000), st.integers(1, 6000)).map(
    lambda r: candles(r[0], NOON + timedelta(minutes=r[1], seconds=r[2] % 60), r[2] * MINUTE)
)


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("store"), trades()),
            st.tuples(st.just("correct"), st.integers(0, 40)),
            st.tuples(st.just("delete"), st.integers(0, 40)),
            st.tuples(st.just("read"), reads),
        ),
        min_size=1,
        max_size=12,
    ),
    questions=st.lists(reads, min_size=1, max_size=3),
)
def test_every_layer_says_what_the_database_says(
    shared: Database, redis: RedisServer, steps: list[tuple[str, Any]], questions: list[Any]
) -> None:
    """After whatever was stored, corrected and deleted, and whatever was read in between."""
    questions += [queries.latest_price("BTC", "x"), queries.latest_prices()]
    with ExitStack() as stack:
        connection = stack.enter_context(shared.connect())
        connection.execute("DELETE FROM entasis.market_data")
        oracle.refresh(connection)
        first, second = (stack.enter_context(open_cache(shared.dsn, redis)) for _ in range(2))
        for what, given_ in steps:
            match what:
                case "store":
                    # what comes again after a correction is a conflict, and changes nothing
                    ingest_trades(connection, [given_], source="f", id_space="ordinal")
                case "correct":
                    connection.execute(
                        "UPDATE entasis.market_data SET price = price + 1 WHERE id = %s", [given_]
                    )
                case "delete":
                    connection.execute("DELETE FROM entasis.market_data WHERE id = %s", [given_])
                case "read":
                    given_.fetch(random.choice([first, second]))
            oracle.refresh(connection)
            heard(first, second)
            assert_caches_are_right(connection, questions, first, second)
        third = stack.enter_context(open_cache(shared.dsn, redis))
        for question in questions:
            assert exactly(question.fetch(third)) == exactly(question.fetch(connection))


@given(
    first=st.floats(0, 3e9).map(lambda s: datetime.fromtimestamp(s, UTC)),
    length=st.timedeltas(timedelta(0), timedelta(days=40)),
    within=st.floats(0, 1),
)
def test_a_touched_trade_is_in_a_touched_page(
    first: datetime, length: timedelta, within: float
) -> None:
    moment = first + length * within
    for interval, touched in touched_pages(first, first + length):
        bucket = oracle.bucket(interval, moment)
        (page,) = pages_between(interval, bucket, bucket + timedelta(microseconds=1))
        assert page in touched
        assert len(touched) <= length / timedelta(minutes=30) + 2


def test_what_is_missing_stays_missing() -> None:
    candle = queries.Candle("a", "b", NOON, *[D("1.10")] * 6, 0, None, None, None, None)
    quoted = queries.OptionQuote(
        "a", D(1), NOON, "put", NOON, 1, delta=D("1E-9"), open_interest=D(0), rho=D("-0.50")
    )
    for row in (
        candle,
        quoted,
        queries.Trade(
            symbol="\0\t\n\u20ac",
            exchange="b",
            timestamp=NOON,
            id=2**62,
            price=D("1E+2"),
            volume=D(1),
        ),
    ):
        assert exactly(list(decode(encode([row], type(row)), type(row)))) == exactly([row])


# --- what is asked of whom -----------------------------------------------------------------------


def test_a_hit_runs_no_query(database: Database, redis: RedisServer) -> None:
    with database.connect() as connection:
        store(connection, *(trade(n) for n in range(300)))
        ingest_options(connection, [quote(1), quote(2, option_type="put")], source="o")
        questions: list[Statement[Any]] = [
            candles(),
            candles("1h", length=timedelta(hours=300)),
            queries.latest_price("BTC", "x"),
            queries.latest_prices(),
            queries.option_chain("ETH", NOON + MINUTE),
        ]
        direct = [q.fetch(connection) for q in questions]
        with open_cache(database.dsn, redis) as first, open_cache(database.dsn, redis) as second:
            assert [q.fetch(first) for q in questions] == direct
            assert first.metrics().queries == len(questions)
            with connection.transaction():
                connection.execute(
                    "LOCK TABLE entasis.market_data, entasis.option_data, entasis.ohlcv_1m,"
                    " entasis.ohlcv_1h IN ACCESS EXCLUSIVE MODE"
                )
                assert [q.fetch(second) for q in questions] == direct
                assert [q.fetch(first) for q in questions] == direct
                assert [q.fetch(second) for q in questions] == direct
            metrics = second.metrics()
            assert (metrics.queries, metrics.redis_hits, metrics.memory_hits) == (0, 5, 5)
            assert first.metrics().memory_hits == 5
            # another range of the same hour is a hit, a list belongs to its caller
            direct[0].clear()
            assert counted(candles(length=2 * MINUTE).fetch(first)) == 120
            assert first.metrics().queries == len(questions)


def test_what_is_not_cached_is_answered_all_the_same(database: Database) -> None:
    with database.connect() as connection, open_cache(database.dsn, None) as cache:
        store(connection, trade(1))
        ever = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, tzinfo=UTC)
        for question in (
            queries.candles("BTC", "x", "1m", NOON, NOON + 5 * MINUTE, fill_gaps=True),
            queries.candles("BTC", "x", "1m", NOON - 100 * DAY, NOON + DAY),
            queries.candles("BTC", "x", "1mo", *ever),
            queries.trades("BTC", "x", NOON, NOON + DAY),
        ):
            assert question.fetch(cache) == question.fetch(connection) != []
        assert cache.metrics().queries == 4
        assert queries.latest_price("BTC", "x").one(cache) == ANY
        assert queries.latest_price("nobody", "x").one(cache) is None


def test_an_event_loop(database: Database, redis: RedisServer) -> None:
    options: Any = {"policy": LONG, "redis_timeout": timedelta(seconds=2)}

    async def run() -> None:
        with database.connect() as connection:
            store(connection, trade(1), trade(2))
            async with (
                AsyncCache(database.dsn, redis.url, **options) as first,
                AsyncCache(database.dsn, redis.url, **options) as second,
            ):
                found = await asyncio.gather(*(candles().fetch_async(first) for _ in range(20)))
                assert [counted(rows) for rows in found] == [2] * 20
                assert first.metrics().queries == 1
                assert counted(await candles().fetch_async(second)) == 2
                assert second.metrics().queries == 0
                store(connection, trade(3))
                await asyncio.to_thread(heard, first, second)
                assert counted(await candles().fetch_async(second)) == 3
                assert counted(await candles().fetch_async(first)) == 3
                # who is cancelled leaves nobody waiting
                with connection.transaction():
                    connection.execute("LOCK TABLE entasis.ohlcv_1m IN ACCESS EXCLUSIVE MODE")
                    other = candles(start=NOON + DAY)
                    task = asyncio.create_task(other.fetch_async(first))
                    await asyncio.sleep(0.1)
                    task.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await task
                assert await other.fetch_async(first) == []

    asyncio.run(run())


# --- bounds --------------------------------------------------------------------------------------


def test_memory_is_bounded_in_number_and_age(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = CachePolicy(candles={"1m": Refresh(timedelta(seconds=5), timedelta(seconds=50))})
    with (
        database.connect() as connection,
        open_cache(database.dsn, None, policy=policy, max_entries=3) as cache,
    ):
        # what follows the last stored candle is not stored
        store(connection, trade(1), trade(2, timestamp=NOON + 20 * DAY))
        heard(cache)
        until(lambda: cache._trust.watermarks().get("ohlcv_1m", 0) > (NOON + 20 * DAY).timestamp())
        for n in range(5):
            candles(start=NOON + n * DAY).fetch(cache)
        assert cache.metrics().entries == 3
        candles(start=NOON + 2 * DAY).fetch(cache)
        candles(start=NOON + 9 * DAY).fetch(cache)
        assert cache.metrics().queries == 6
        candles(start=NOON + 2 * DAY).fetch(cache)  # used last, so still there
        assert cache.metrics().queries == 6

        def after(seconds: float) -> int:
            now = later["monotonic"]() + seconds
            monkeypatch.setattr("entasis_db.cache.memory.monotonic", lambda: now)
            candles(start=NOON + 2 * DAY).fetch(cache)
            return cache.metrics().queries

        later: dict[str, Callable[[], float]] = {"monotonic": __import__("time").monotonic}
        assert after(49) == 6
        assert after(51) == 7


def test_what_is_open_is_no_older_than_its_time_to_live(
    database: Database, redis: RedisServer
) -> None:
    """On an engine that tells of a candle when it is over, nothing but this bounds it before."""
    life = timedelta(milliseconds=400)
    policy = CachePolicy(candles={n: Refresh(life, DAY) for n in INTERVALS}, latest=life)
    now = datetime.now(UTC)
    questions: list[Statement[Any]] = [
        *(candles(name, now - 40 * DAY, 41 * DAY) for name in ("1h", "1d", "1w", "1mo")),
        candles("1m", now - timedelta(hours=1), timedelta(hours=2)),
        queries.latest_price("BTC", "x"),
        queries.latest_prices(),
    ]
    with (
        database.connect() as connection,
        open_cache(database.dsn, redis, policy=policy) as cache,
        open_cache(database.dsn, redis, policy=policy) as other,
    ):
        for n in (1, 2):
            made = trade(n, timestamp=now, price=D(n))
            ingest_trades(connection, [made], source="f", id_space="ordinal")
            threading.Event().wait(life.total_seconds())
            assert_caches_are_right(connection, questions, cache, other)


def test_closed_candles_live_long_and_open_ones_short() -> None:
    policy = CachePolicy(candles={"1h": Refresh(timedelta(seconds=7), timedelta(days=7))})
    now = datetime(2024, 8, 8, 12, 30, tzinfo=UTC)
    for interval in INTERVALS:
        (page,) = pages_between(interval, now, now + timedelta(microseconds=1))
        over, long_over = page_end(interval, page), page_end(interval, page - 2)
        assert policy.candle_lifetime(interval, over, now) == policy.candles[interval].open
        assert policy.candle_lifetime(interval, long_over, now) == policy.candles[interval].closed
    assert policy.candles["1h"].open == timedelta(seconds=7)
    assert policy.candles["1m"].open == timedelta(seconds=1)
    with pytest.raises(ValueError, match="no candles of"):
        CachePolicy(candles={"2m": Refresh(DAY)})
    with pytest.raises(ValueError, match="no lifetime"):
        CachePolicy(latest=timedelta(0))
    with pytest.raises(ValueError, match="max_wait"):
        Cache("", max_wait=timedelta(0))


def test_a_reader_may_use_it(database: Database, redis: RedisServer, server: Server) -> None:
    with server.login("entasis_reader") as (name, password), database.connect() as connection:
        store(connection, trade(1))
        dsn = psycopg.conninfo.make_conninfo(database.dsn, user=name, password=password)
        with open_cache(dsn, redis) as cache:
            assert cache.metrics().listening
            assert counted(candles().fetch(cache)) == 1
