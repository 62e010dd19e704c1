"""The cache when Redis fails, is out of reach, or comes back with old entries."""

import logging
import signal
import threading
from datetime import timedelta

import pytest

from entasis_db.cache import Cache
from tests.caches import RedisServer, redis_server
from tests.contract.cache.support import (
    DAY,
    candles,
    counted,
    heard,
    open_cache,
    store,
    unseen,
    until,
)
from tests.db import Connection
from tests.engines import Database
from tests.make import NOON, trade
from tests.proxy import Proxy, proxied

pytestmark = [pytest.mark.copy, pytest.mark.several_connections, pytest.mark.newest_server]


def of_redis(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if "Redis" in r.getMessage()]


def count_every_trade(connection: Connection, cache: Cache, number: int) -> int:
    """Store trades one after the other, and see each of them in the cache."""
    for n in range(number, number + 20):
        store(connection, trade(n))
        heard(cache)
        assert counted(candles().fetch(cache)) == n
    return number + 20


@pytest.mark.parametrize(
    "how", ["down", *(pytest.param(how, marks=pytest.mark.long) for how in ("slow", "full"))]
)
def test_redis_fails_and_comes_back(
    database: Database,
    needs_redis: None,
    how: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("entasis_db.breaker.FIRST_PAUSE", 0.05)
    monkeypatch.setattr("entasis_db.breaker.LONGEST_PAUSE", 0.1)
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
        assert cache.metrics().redis_failures > 0
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
            cache._memory.clear()
            with redis.client() as client:
                return bool(client.keys("*:v:*")) and cache._trust.redis_is_current()

        until(works)
        assert of_redis(caplog)[-1] == "Redis answers again"
        count_every_trade(connection, cache, number)
        assert len(of_redis(caplog)) <= 4


@pytest.mark.parametrize("noticed", [False, True], ids=["by the correction", "by a read"])
def test_redis_was_out_of_reach_when_a_correction_came(
    database: Database, redis: RedisServer, noticed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("entasis_db.breaker.FIRST_PAUSE", 0.5)
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
            assert cache.metrics().redis_failures == 1
        store(connection, trade(2))
        heard(cache)
        behind.refusing = False
        until(cache._store.breaker.admits)
        for _ in range(100):
            # Redis still has the old value
            cache._memory.clear()
            assert counted(candles().fetch(cache)) == 2
            threading.Event().wait(0.02)
        assert cache._trust.redis_is_current()
    behind.close()


def test_redis_was_out_of_reach_when_listening_began_again(
    database: Database, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("entasis_db.breaker.FIRST_PAUSE", 0.5)
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
            until(cache._store.breaker.admits)
            for _ in range(100):
                cache._memory.clear()
                assert counted(candles().fetch(cache)) == 2
                threading.Event().wait(0.02)
            assert cache._trust.redis_is_current()
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
        assert [r.getMessage().count("does not notify caches") for r in caplog.records] == [1]


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
            cache._memory.clear()
            assert counted(candles().fetch(cache)) == 2
