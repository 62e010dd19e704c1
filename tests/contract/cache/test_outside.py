"""What arrives from outside can be anything: it never raises, and counts for a hint at most."""

import asyncio
import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from entasis_db import queries
from entasis_db.cache import AsyncCache, Cache
from entasis_db.cache.steps import Store
from tests.caches import RedisServer
from tests.contract.cache.support import (
    DAY,
    NOON,
    Driven,
    assert_caches_are_right,
    candles,
    counted,
    heard,
    open_cache,
    store,
    unseen,
    until,
)
from tests.engines import Database
from tests.make import trade

pytestmark = [pytest.mark.copy, pytest.mark.several_connections, pytest.mark.newest_server]


@pytest.fixture(scope="module")
def listening(shared: Database, redis: RedisServer) -> Iterator[Cache]:
    with shared.connect() as connection:
        store(connection, trade(1))
    with open_cache(shared.dsn, redis) as cache:
        yield cache


# --- notifications ---------------------------------------------------------------------------

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=9), children, max_size=3)
    ),
    max_leaves=12,
)
# like ours, but not ours
almost = st.fixed_dictionaries(
    {},
    optional={
        "trades": st.lists(
            st.lists(
                st.one_of(
                    json_values, st.just("BTC"), st.floats(), st.sampled_from([1e18, -1e18, 1e99])
                ),
                min_size=3,
                max_size=5,
            ),
            max_size=3,
        )
        | json_values,
        "options": json_values,
        "everything": json_values,
        "hello": json_values,
    },
)
payloads = st.one_of(
    almost.map(json.dumps),
    json_values.map(json.dumps),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=50),
).filter(lambda text: 0 < len(text.encode()) < 7900)


@given(payload=payloads)
@example(payload="[" * 7000)
@example(payload='{"trades":' + "[" * 7000)
@example(payload='{"trades": [["BTC", "x", 1e17, 1e17]]}')
@example(payload='{"trades": [["BTC", "x", NaN, Infinity]]}')
@example(payload='{"trades": [[["BTC"], "x", 0, 1]]}')
@example(payload='{"trades": [["\\ud800", "x", 0, 1]], "options": ["\\ud800"]}')
@example(payload='{"options": [["ETH"]]}')
@example(payload='{"hello": "\\ud800"}')
@example(payload='{"hello": {"a": 1}}')
def test_no_notification_ends_the_listener(
    shared: Database, listening: Cache, payload: str
) -> None:
    with shared.connect() as connection:
        candles().fetch(listening)
        connection.execute("SELECT pg_notify(entasis_internal.cache_channel_name(), %s)", [payload])
        heard(listening)
        assert listening._listener._thread.is_alive()
        assert listening.metrics().listening
        assert_caches_are_right(connection, [candles(), queries.latest_prices()], listening)


def test_after_any_error_the_listener_begins_anew(
    database: Database,
    redis: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Also after one that psycopg does not raise itself: such as text in another encoding."""
    caplog.set_level(logging.WARNING, "entasis_db.cache")
    failing = True

    with database.connect() as connection:
        store(connection, trade(1))
        with open_cache(database.dsn, redis, max_silence=timedelta(milliseconds=600)) as cache:
            assert counted(candles().fetch(cache)) == 1
            prove = cache._listener._prove

            def fail(connection: psycopg.Connection[Any]) -> None:
                if failing:
                    raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "of another session")
                prove(connection)

            # of this one only: another cache may still be open in another test's fixture
            monkeypatch.setattr(cache._listener, "_prove", fail)
            until(lambda: not cache.metrics().listening)
            unseen(connection, 5)
            assert counted(candles().fetch(cache)) == 5
            failing = False
            until(lambda: cache.metrics().listening)
            store(connection, trade(2))
            heard(cache)
            assert candles().fetch(cache) == candles().fetch(connection)
    assert [r.getMessage().startswith("notifications") for r in caplog.records] == [True, True]


# --- values in Redis -------------------------------------------------------------------------


def keys(redis: RedisServer, pattern: str) -> list[bytes]:
    with redis.client() as client:
        return sorted(client.keys(pattern))


MALFORMED = {
    "no value": b"",
    "no time": b"x [[]]",
    "no JSON": b"99999999999999 nonsense",
    "not UTF-8": b"99999999999999 \xff",
    "too deep": b"99999999999999 " + b"[" * 100_000,
    "an object": b'99999999999999 {"a": 1}',
    "another number of columns": b"99999999999999 [[],[]]",
    "columns of different lengths": b"99999999999999 [" + b",".join([b"[]"] * 13) + b',["1"]]',
    "no numbers": b"99999999999999 [" + b",".join([b'["x"]'] * 14) + b"]",
    "an endless time": b"9" * 5000 + b" []",
}


@pytest.mark.parametrize("how", MALFORMED)
@pytest.mark.parametrize("asynchronous", [False, True], ids=["threads", "event loop"])
def test_a_value_that_cannot_be_read_is_replaced(
    database: Database, redis: RedisServer, how: str, asynchronous: bool
) -> None:
    with database.connect() as connection, open_cache(database.dsn, redis) as first:
        store(connection, trade(1))
        heard(first)
        before = set(keys(redis, "*:v:*"))
        candles().fetch(first)
        (name,) = set(keys(redis, "*:v:*")) - before
        with redis.client() as client:
            value = client.get(name)
            assert isinstance(value, bytes)
            stamp, _, _ = value.partition(b" ")
            # the stamp is followed by the milliseconds
            stamp = stamp[: -len(str(10**12))]
            client.set(name, stamp + MALFORMED[how])
        fetched = fetch_anew(database, redis) if asynchronous else None
        if fetched is None:
            with open_cache(database.dsn, redis) as second:
                fetched = [candles().fetch(second)]
                assert second.metrics().queries == 1
        assert fetched == [candles().fetch(connection)]
        assert keys(redis, name.decode()) == []
        with open_cache(database.dsn, redis) as third, open_cache(database.dsn, redis) as fourth:
            candles().fetch(third)
            candles().fetch(fourth)
            assert (third.metrics().queries, fourth.metrics().redis_hits) == (1, 1)
            assert fourth.metrics().redis_failures == 0


def fetch_anew(database: Database, redis: RedisServer) -> list[list[queries.Candle]]:
    async def run() -> list[list[queries.Candle]]:
        async with AsyncCache(database.dsn, redis.url, redis_timeout=timedelta(seconds=2)) as cache:
            return [await candles().fetch_async(cache)]

    return asyncio.run(run())


@pytest.mark.parametrize("what", ["*:v:*", "*:t:*", "*:all"])
def test_a_key_that_is_no_string(database: Database, redis: RedisServer, what: str) -> None:
    with database.connect() as connection, open_cache(database.dsn, redis) as first:
        store(connection, trade(1))
        heard(first)
        before = set(keys(redis, what)) if what != "*:all" else set()
        candles().fetch(first)
        namespace = first._store.keys.namespace.encode()  # type: ignore[union-attr]
        ours = [n for n in keys(redis, what) if n.startswith(namespace) and n not in before]
        assert ours
        with redis.client() as client:
            for name in ours:
                client.delete(name)
                client.lpush(name, "x")
        for question in (candles(), candles(start=NOON + DAY), queries.latest_prices()):
            with open_cache(database.dsn, redis) as second:
                assert question.fetch(second) == question.fetch(connection)
                assert second.metrics().redis_failures == 0


def test_a_lease_that_became_something_else(database: Database, redis: RedisServer) -> None:
    with database.connect() as connection, open_cache(database.dsn, redis) as cache:
        store(connection, trade(1))
        heard(cache)
        reader = Driven(cache, candles()).go(Store)
        assert isinstance(reader.step, Store)
        with redis.client() as client:
            for name in (*reader.step.values, reader.step.lookup.topic):
                client.delete(name)
                client.lpush(name, "x")
        assert reader.go().rows == candles().fetch(connection)
        assert cache.metrics().redis_failures == 0


def test_a_value_lives_no_longer_than_one_of_ours(
    database: Database, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.connect() as connection, open_cache(database.dsn, redis) as first:
        store(connection, trade(1))
        heard(first)
        before = set(keys(redis, "*:v:*"))
        candles().fetch(first)
        (name,) = set(keys(redis, "*:v:*")) - before
        with redis.client() as client:
            value = client.get(name)
            assert isinstance(value, bytes)
            head, _, data = value.partition(b" ")
            client.set(name, head + b"000000 " + data)
        with open_cache(database.dsn, redis) as second:
            candles().fetch(second)
            assert second.metrics().redis_hits == 1
            lifetimes = [until_ for until_, _ in second._memory._rows.values()]
            now = __import__("time").monotonic()
            assert max(lifetimes) <= now + DAY.total_seconds()
