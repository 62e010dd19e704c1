"""The cache: equal to the database to the last digit, and never wrong for longer than it says."""

import asyncio
import json
import logging
import random
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import ANY

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg_pool import ConnectionPool

from entasis_db import queries
from entasis_db.cache import AsyncCache, Cache, CachePolicy, Refresh
from entasis_db.cache.codec import decode, encode
from entasis_db.cache.core import Join, Query, Step
from entasis_db.cache.policy import pages, touched_pages
from entasis_db.cache.shared import Names, Read, Store
from entasis_db.ingest import ingest_options, ingest_trades
from entasis_db.model import Trade
from entasis_db.queries import INTERVALS, Interval, Statement
from tests import oracle
from tests.caches import RedisServer, redis_server
from tests.contract.trades.test_ingest import NOON, D, quote, trade
from tests.engines import Database, Server
from tests.proxy import Proxy, proxied

pytestmark = [pytest.mark.copy, pytest.mark.several_connections, pytest.mark.newest_server]

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
# so long that nothing but an invalidation can make a test pass
LONG = CachePolicy(candles={name: Refresh(DAY, DAY) for name in INTERVALS}, latest=DAY, chains=DAY)
Connection = psycopg.Connection[Any]


@pytest.fixture(scope="module")
def redis(needs_redis: None) -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture(scope="module")
def shared(server: Server) -> Iterator[Database]:
    with server.database() as lent:
        yield lent


def open_cache(dsn: str, redis: RedisServer | None, **options: Any) -> Cache:
    options = {"policy": LONG, "redis_timeout": timedelta(seconds=2), **options}
    return Cache(dsn, None if redis is None else redis.url, **options)


def store(connection: Connection, *trades: Trade) -> None:
    """Store trades; outside a transaction, also bring their candles up to date."""
    report = ingest_trades(connection, trades, source="f", id_space="trade")
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
        core = cache._core
        inner = core.invalidate

        def handled(
            message: Mapping[str, Any],
            delete: Any,
            inner: Any = inner,
            event: threading.Event = event,
            nonce: str = nonce,
        ) -> None:
            inner(message, delete)
            if message.get("barrier") == nonce:
                event.set()

        core.invalidate = handled  # type: ignore[method-assign]
        told.append((cache, inner, event, nonce))
    with psycopg.connect(caches[0]._conninfo, autocommit=True) as connection:
        for _, _, _, nonce in told:
            connection.execute(
                "SELECT pg_notify('entasis_cache', %s)", [json.dumps({"barrier": nonce})]
            )
    for cache, inner, event, _ in told:
        assert event.wait(20)
        cache._core.invalidate = inner  # type: ignore[method-assign]


def unseen(connection: Connection, number: int) -> None:
    """Change candles as replication does: no trigger sees it."""
    with connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute(
            f"UPDATE {oracle.candle_table(connection, '1m')} SET trades = {number}".encode()
        )


def until(said: Callable[[], object]) -> None:
    for _ in range(2_000):
        if said():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it did not come to pass")


# --- exactly the database's rows -------------------------------------------------------------


@st.composite
def trades(draw: st.DrawFn) -> Trade:
    number = draw(st.integers(0, 40))
    return trade(
        number,
        timestamp=NOON + timedelta(minutes=draw(st.integers(-3000, 3000)), seconds=number),
        price=D(draw(st.integers(1, 10**11))).scaleb(-draw(st.integers(0, 12))),
        volume=D(draw(st.sampled_from(["1", "0.10", "1E-12", "100", "1E+2"]))),
    )


reads = st.tuples(st.sampled_from(INTERVALS), st.integers(-4000, 4000), st.integers(1, 6000)).map(
    lambda r: candles(r[0], NOON + timedelta(minutes=r[1], seconds=r[2] % 60), r[2] * MINUTE)
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
                    ingest_trades(connection, [given_], source="f", id_space="trade")
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
        (page,) = pages(interval, bucket, bucket + timedelta(microseconds=1))
        assert page in touched
        assert len(touched) <= length / timedelta(minutes=30) + 2


def test_what_is_missing_stays_missing() -> None:
    candle = queries.Candle("a", "b", NOON, *[D("1.10")] * 6, 0, None, None, None, None)
    quoted = queries.OptionQuote("a", NOON, D(1), "put", NOON, 1, None, D("1E-9"), *[None] * 3)
    for row in (candle, quoted, queries.Trade("\0\t\n\u20ac", "b", NOON, 2**62, D("1E+2"), D(1))):
        assert exactly(list(decode(encode([row], type(row)), type(row)))) == exactly([row])


# --- what is asked of whom -------------------------------------------------------------------


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
            assert (metrics.queries, metrics.shared_hits, metrics.local_hits) == (0, 5, 5)
            assert first.metrics().local_hits == 5
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


# --- races -----------------------------------------------------------------------------------


class Driven:
    """A read that goes on only when it is told to."""

    def __init__(self, cache: Cache, statement: Statement[Any]) -> None:
        self.cache = cache
        self.steps = cache._core.read(statement)
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
        assert isinstance(reader.step, Read)
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
                ingest_trades(connection, [trade(n, timestamp=at)], source="f", id_space="trade")
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


# --- stampedes -------------------------------------------------------------------------------


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
            assert isinstance(read.step, Read)
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


# --- Redis fails -----------------------------------------------------------------------------


def of_redis(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if "Redis" in r.getMessage()]


def count_every_trade(connection: Connection, cache: Cache, number: int) -> int:
    """Store trades one after the other, and see each of them in the cache."""
    for n in range(number, number + 20):
        store(connection, trade(n))
        heard(cache)
        assert counted(candles().fetch(cache)) == n
    return number + 20


@pytest.mark.parametrize("how", ["down", "slow", "full"])
def test_redis_fails_and_comes_back(
    database: Database,
    needs_redis: None,
    how: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("entasis_db.cache.core._FIRST_PAUSE", 0.05)
    monkeypatch.setattr("entasis_db.cache.core._LONGEST_PAUSE", 0.1)
    caplog.set_level(logging.WARNING, "entasis_db.cache")
    options = {"redis_timeout": timedelta(milliseconds=100), "max_silence": timedelta(seconds=1)}
    with (
        redis_server() as redis,
        database.connect() as connection,
        open_cache(database.dsn, redis, **options) as cache,
        open_cache(database.dsn, redis, **options) as other,
    ):
        number = count_every_trade(connection, cache, 1)
        match how:
            case "down":
                redis.kill()
            case "slow":
                redis.signal(signal.SIGSTOP)
            case "full":
                with redis.client() as client:
                    client.config_set("maxmemory", 1)
        number = count_every_trade(connection, cache, number)
        assert cache.metrics().shared_failures > 0
        assert len(of_redis(caplog)) <= 2  # one warning of each cache, and no storm
        assert "does not answer" in of_redis(caplog)[0]
        match how:
            case "down":
                redis.start()
            case "slow":
                redis.signal(signal.SIGCONT)
            case "full":
                with redis.client() as client:
                    client.config_set("maxmemory", 0)
        number = count_every_trade(connection, cache, number)
        heard(other)
        assert counted(candles().fetch(other)) == number - 1

        def works() -> bool:
            candles().fetch(cache)
            cache._core.local.forget()
            with redis.client() as client:
                return bool(client.keys("*:v:*")) and not cache._core.missed

        until(works)
        assert of_redis(caplog)[-1] == "Redis answers again"
        count_every_trade(connection, cache, number)
        assert len(of_redis(caplog)) <= 4


@pytest.mark.parametrize("noticed", [False, True], ids=["by the correction", "by a read"])
def test_redis_was_out_of_reach_when_a_correction_came(
    database: Database, redis: RedisServer, noticed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("entasis_db.cache.core._FIRST_PAUSE", 0.5)
    behind = Proxy("127.0.0.1", redis.port)
    far = RedisServer(redis.folder, behind.port)
    with (
        database.connect() as connection,
        open_cache(database.dsn, far, max_silence=timedelta(seconds=1)) as cache,
    ):
        store(connection, trade(1))
        heard(cache)
        assert counted(candles().fetch(cache)) == 1
        behind.refusing = True
        behind.cut()
        if noticed:
            candles(start=NOON + DAY).fetch(cache)
            assert cache.metrics().shared_failures == 1
        store(connection, trade(2))
        heard(cache)
        behind.refusing = False
        until(cache._core.breaker.admits)
        for _ in range(100):
            # Redis still has the old value
            cache._core.local.forget()
            assert counted(candles().fetch(cache)) == 2
            threading.Event().wait(0.02)
        assert not cache._core.missed
    behind.close()


def test_redis_was_out_of_reach_when_listening_began_again(
    database: Database, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("entasis_db.cache.core._FIRST_PAUSE", 0.5)
    behind = Proxy("127.0.0.1", redis.port)
    far = RedisServer(redis.folder, behind.port)
    with proxied(database.dsn) as (proxy, dsn), database.connect() as connection:
        store(connection, trade(1))
        with open_cache(dsn, far, max_silence=timedelta(seconds=1)) as cache:
            assert counted(candles().fetch(cache)) == 1
            for wire in (behind, proxy):
                wire.refusing = True
                wire.cut()
            until(lambda: not cache.metrics().listening)
            store(connection, trade(2))
            proxy.refusing = False
            until(lambda: cache.metrics().listening)
            behind.refusing = False
            until(cache._core.breaker.admits)
            for _ in range(100):
                cache._core.local.forget()
                assert counted(candles().fetch(cache)) == 2
                threading.Event().wait(0.02)
            assert not cache._core.missed
    behind.close()


def test_a_database_that_tells_nothing_is_asked_every_time(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """A release from before it did."""
    with database.connect() as connection:
        store(connection, trade(1))
        connection.execute("ALTER FUNCTION entasis_internal.candle_watermarks() RENAME TO other")
        cache = open_cache(database.dsn, None)
        cache.open(timeout=timedelta(seconds=1))
        try:
            for n in range(2, 5):
                unseen(connection, n)
                assert counted(candles().fetch(cache)) == n
            assert not cache.metrics().listening
        finally:
            cache.close()
        assert [r.getMessage().count("does not tell") for r in caplog.records] == [1]


def test_redis_comes_back_with_what_it_had_saved_before_a_correction(
    database: Database, needs_redis: None
) -> None:
    with redis_server() as redis, database.connect() as connection:
        store(connection, trade(1))
        with open_cache(database.dsn, redis) as keeps, open_cache(database.dsn, redis) as cache:
            candles().fetch(cache)
            with redis.client() as client:
                client.save()
            store(connection, trade(2))
            heard(keeps, cache)
            assert counted(candles().fetch(cache)) == 2
            redis.kill()
            redis.start()
            with redis.client() as client:
                assert client.keys("*:v:*")
            # nobody noticed that it was gone
            with open_cache(database.dsn, redis) as fresh:
                assert counted(candles().fetch(fresh)) == 2
            cache._core.local.forget()
            assert counted(candles().fetch(cache)) == 2


# --- nobody hears ----------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["cut", "silent"])
def test_a_cache_that_hears_nothing_believes_nothing(
    database: Database, redis: RedisServer, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "entasis_db.cache")
    with proxied(database.dsn) as (proxy, dsn), database.connect() as connection:
        store(connection, trade(1))
        cache = open_cache(dsn, redis, max_silence=timedelta(milliseconds=600))
        with cache:
            cache._pool.close()  # else its connections would be cut as well
            cache._pool = ConnectionPool(
                database.dsn, min_size=1, kwargs={"autocommit": True}, open=True
            )
            assert counted(candles().fetch(cache)) == 1
            if how == "cut":
                proxy.refusing = True
                proxy.cut()
            else:
                proxy.stalled.set()
            until(lambda: not cache.metrics().listening)
            store(connection, trade(2))
            assert counted(candles().fetch(cache)) == 2
            store(connection, trade(3))
            assert counted(candles().fetch(cache)) == 3
            proxy.refusing = False
            proxy.stalled.clear()
            until(lambda: cache.metrics().listening)
            assert counted(candles().fetch(cache)) == 3
            store(connection, trade(4))
            heard(cache)
            assert counted(candles().fetch(cache)) == 4
    said = [r.getMessage() for r in caplog.records if "notifications" in r.getMessage()]
    assert len(said) <= 2


def test_what_changed_while_nobody_listened(database: Database, redis: RedisServer) -> None:
    with database.connect() as connection:
        store(connection, trade(1))
        with open_cache(database.dsn, redis) as cache:
            candles().fetch(cache)
        store(connection, trade(2))
        with open_cache(database.dsn, redis) as cache:
            assert counted(candles().fetch(cache)) == 2


def test_a_new_process_believes_redis_when_another_one_has_listened(
    database: Database, redis: RedisServer
) -> None:
    with database.connect() as connection, open_cache(database.dsn, redis) as old:
        store(connection, trade(1))
        heard(old)
        candles().fetch(old)
        with open_cache(database.dsn, redis) as new:
            candles().fetch(new)
            assert new.metrics().shared_hits == 1
        # but not one that could not tell Redis
        old._listener._empty = lambda: None  # type: ignore[method-assign]
        old._core.missed = True
        with open_cache(database.dsn, redis) as new:
            candles().fetch(new)
            assert new.metrics().shared_hits == 0


def test_two_databases_share_one_redis(
    database: Database, shared: Database, redis: RedisServer
) -> None:
    with database.connect() as one, shared.connect() as other:
        other.execute("DELETE FROM entasis.market_data")
        store(one, trade(1))
        with open_cache(database.dsn, redis) as first, open_cache(shared.dsn, redis) as second:
            assert counted(candles().fetch(first)) == 1
            assert candles().fetch(second) == []
    names = Names("n")
    assert names.value(("a", "bc")) != names.value(("ab", "c"))


def test_writers_tell_only_while_somebody_listens(database: Database) -> None:
    with database.connect() as connection, database.connect() as ear:
        ear.execute("LISTEN entasis_cache")
        store(connection, trade(1))
        assert list(ear.notifies(timeout=0.1)) == []
        with open_cache(database.dsn, None):
            store(connection, trade(2), trade(3, symbol="ETH"))
            told = [json.loads(n.payload)["trades"] for n in ear.notifies(timeout=0.3)]
            start = NOON.timestamp()
            if database.engine == "postgresql":
                assert told == [[["BTC", "x", start, start], ["ETH", "x", start, start]]]
            # who is told of a minute also looks at all that is computed from it
            minute = [m[:2] for markets in told for m in markets if m[2] <= start <= m[3]]
            assert sorted(map(tuple, minute))[:: len(minute) // 2] == [("BTC", "x"), ("ETH", "x")]
        until(
            lambda: (
                not connection.execute(
                    "SELECT FROM pg_stat_activity WHERE application_name = 'entasis cache'"
                    " AND datname = current_database()"
                ).fetchall()
            )
        )
        store(connection, trade(4))
        assert list(ear.notifies(timeout=0.1)) == []


@pytest.mark.parametrize("what", ["candles", "quotes"])
def test_listening_begins_after_the_writers_that_saw_nobody(database: Database, what: str) -> None:
    chain = queries.option_chain("ETH", NOON + MINUTE)
    with database.connect() as writing, database.connect() as watching, ExitStack() as stack:
        store(watching, trade(0))
        with writing.transaction():
            if what == "quotes":
                ingest_options(writing, [quote(1)], source="o")
            elif database.engine == "postgresql":
                store(writing, trade(1))
            else:  # what a refresh does
                table = oracle.candle_table(writing, "1m")
                writing.execute(f"UPDATE {table} SET trades = 2".encode())
            cache = open_cache(database.dsn, None)
            cache.open(timeout=timedelta(milliseconds=300))
            stack.callback(cache.close)
            assert not cache.metrics().listening
            assert counted(candles().fetch(cache)) == 1
            assert chain.fetch(cache) == []
        until(lambda: cache.metrics().listening)
        assert counted(candles().fetch(cache)) + len(chain.fetch(cache)) == 2


def test_many_markets_in_one_statement(database: Database) -> None:
    name = "\x01" * 17
    markets = [trade(1, symbol=f"{name}{n:03}", exchange=name + "xyz") for n in range(200)]
    with database.connect() as connection, open_cache(database.dsn, None) as cache:
        store(connection, *markets)
        heard(cache)
        if database.engine == "postgresql":
            assert cache.metrics().invalidations == 8 + 1
        one = queries.latest_price(markets[199].symbol, markets[199].exchange)
        before = one.one(cache)
        store(connection, *(t._replace(timestamp=NOON + MINUTE, id=2) for t in markets))
        heard(cache)
        assert one.one(cache) != before


# --- other things that change ----------------------------------------------------------------


def test_option_chains(database: Database, redis: RedisServer) -> None:
    chain = queries.option_chain("ETH", NOON + MINUTE)
    with (
        database.connect() as connection,
        open_cache(database.dsn, redis) as first,
        open_cache(database.dsn, redis) as second,
    ):
        for n in range(1, 5):
            ingest_options(connection, [quote(n, iv=D(n))], source="o")
            heard(first, second)
            for cache in (first, second):
                assert [q.iv for q in chain.fetch(cache)] == [D(n)]
                assert queries.option_chain("BTC", NOON).fetch(cache) == []
        connection.execute("DELETE FROM entasis.option_data WHERE id = 4")
        heard(first, second)
        assert [q.iv for q in chain.fetch(first)] == [q.iv for q in chain.fetch(second)] == [D(3)]
        connection.execute("UPDATE entasis.option_data SET iv = 9 WHERE id = 3")
        heard(first, second)
        assert [q.iv for q in chain.fetch(second)] == [D(9)]


def test_what_no_trigger_sees_is_flushed_by_hand(
    connection: Connection, database: Database, redis: RedisServer
) -> None:
    store(connection, trade(1))
    with open_cache(database.dsn, redis) as cache:
        assert counted(candles().fetch(cache)) == 1
        unseen(connection, 7)
        heard(cache)
        assert counted(candles().fetch(cache)) == 1
        connection.execute("SELECT entasis.flush_caches()")
        heard(cache)
        assert counted(candles().fetch(cache)) == 7


def test_dropped_history_is_forgotten(
    connection: Connection, database: Database, redis: RedisServer
) -> None:
    store(connection, trade(1))
    with open_cache(database.dsn, redis) as cache:
        assert queries.latest_price("BTC", "x").one(cache)
        connection.execute("CALL entasis.maintain()")
        heard(cache)
        assert connection.execute("SELECT FROM entasis.market_data").fetchall() == []
        assert queries.latest_price("BTC", "x").one(cache) is None


def test_somebody_elses_words_flush(database: Database) -> None:
    with database.connect() as connection, open_cache(database.dsn, None) as cache:
        store(connection, trade(1))
        heard(cache)
        for words in ("?", "5", '{"trades": [1]}', '{"trades": [["a", "b", 1e99, 1]]}', "null"):
            candles().fetch(cache)
            assert cache.metrics().entries
            connection.execute("SELECT pg_notify('entasis_cache', %s)", [words])
            until(lambda: not cache.metrics().entries)


# --- bounds ----------------------------------------------------------------------------------


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
        until(lambda: cache._core.stored_until["ohlcv_1m"] > (NOON + 20 * DAY).timestamp())
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
            monkeypatch.setattr("entasis_db.cache.local.monotonic", lambda: now)
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
            ingest_trades(connection, [made], source="f", id_space="trade")
            threading.Event().wait(life.total_seconds())
            assert_caches_are_right(connection, questions, cache, other)


def test_closed_candles_live_long_and_open_ones_short() -> None:
    policy = CachePolicy(candles={"1h": Refresh(timedelta(seconds=7), timedelta(days=7))})
    now = datetime(2024, 8, 8, 12, 30, tzinfo=UTC)
    for interval in INTERVALS:
        (page,) = pages(interval, now, now + timedelta(microseconds=1))
        assert policy.candle_life(interval, page, now) == policy.candles[interval].open
        assert policy.candle_life(interval, page - 2, now) == policy.candles[interval].closed
    assert policy.candles["1h"].open == timedelta(seconds=7)
    assert policy.candles["1m"].open == timedelta(seconds=1)
    with pytest.raises(ValueError, match="no candles of"):
        CachePolicy(candles={"2m": Refresh(DAY)})
    with pytest.raises(ValueError, match="no refresh interval"):
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
