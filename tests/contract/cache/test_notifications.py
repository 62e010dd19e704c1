"""The cache's notifications: who listens, what is published, and what evicts by other ways."""

import json
import logging
from contextlib import ExitStack
from datetime import timedelta

import pytest
from psycopg.conninfo import make_conninfo
from psycopg_pool import ConnectionPool

from entasis_db import queries
from entasis_db.cache.redis_keys import KeyNames
from entasis_db.ingest import ingest_options
from tests import oracle
from tests.caches import RedisServer
from tests.contract.cache.support import (
    MINUTE,
    candles,
    counted,
    heard,
    open_cache,
    store,
    unseen,
    until,
)
from tests.db import Connection, discard, listen_for_caches
from tests.engines import Database
from tests.make import NOON, D, quote, trade
from tests.proxy import proxied

pytestmark = [pytest.mark.copy, pytest.mark.several_connections, pytest.mark.newest_server]


# --- nobody hears --------------------------------------------------------------------------------


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
            assert new.metrics().redis_hits == 1
        # but not one that could not tell Redis
        old._listener._evictor.empty_redis = lambda: None  # type: ignore[method-assign]
        old._trust.redis_missed_eviction()
        with open_cache(database.dsn, redis) as new:
            candles().fetch(new)
            assert new.metrics().redis_hits == 0


def test_two_databases_share_one_redis(
    database: Database, shared: Database, redis: RedisServer
) -> None:
    with database.connect() as one, shared.connect() as other:
        other.execute("DELETE FROM entasis.market_data")
        store(one, trade(1))
        with open_cache(database.dsn, redis) as first, open_cache(shared.dsn, redis) as second:
            assert counted(candles().fetch(first)) == 1
            assert candles().fetch(second) == []
    names = KeyNames("n")
    assert names.value(("a", "bc")) != names.value(("ab", "c"))


def test_writers_tell_only_while_somebody_listens(database: Database) -> None:
    with database.connect() as connection, database.connect() as ear:
        listen_for_caches(ear)
        store(connection, trade(1))
        assert list(ear.notifies(timeout=0.1)) == []
        with open_cache(database.dsn, None):
            store(connection, trade(2), trade(3, symbol="ETH"))
            told = [json.loads(n.payload)["trades"] for n in ear.notifies(timeout=0.3)]
            start = NOON.timestamp()
            if database.can("candle_tables"):
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


def test_a_login_that_is_read_only_by_default_listens(shared: Database) -> None:
    # as logins that only read are often made; that somebody listens is a row
    dsn = make_conninfo(shared.dsn, options="-c default_transaction_read_only=on")
    with open_cache(dsn, None) as cache:
        until(lambda: cache.metrics().listening)


@pytest.mark.parametrize("what", ["candles", "quotes"])
def test_listening_begins_after_the_writers_that_saw_nobody(database: Database, what: str) -> None:
    chain = queries.option_chain("ETH", NOON + MINUTE)
    with database.connect() as writing, database.connect() as watching, ExitStack() as stack:
        store(watching, trade(0))
        with writing.transaction():
            if what == "quotes":
                ingest_options(writing, [quote(1)], source="o")
            elif database.can("candle_tables"):
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
    name = "\U0001f415" * 61
    markets = [trade(1, symbol=f"{name}{n:03}", exchange=name + "xyz") for n in range(200)]
    with database.connect() as connection, open_cache(database.dsn, None) as cache:
        store(connection, *markets)
        heard(cache)
        if database.can("candle_tables"):
            told = json.dumps([*markets[0][1:3], *[1723118400] * 2], ensure_ascii=False)
            assert cache.metrics().notifications == len(told.encode() + b", ") * 200 // 7000 + 1 + 1
        one = queries.latest_price(markets[199].symbol, markets[199].exchange)
        before = one.one(cache)
        store(connection, *(t._replace(timestamp=NOON + MINUTE, id=2) for t in markets))
        heard(cache)
        assert one.one(cache) != before
        chain = queries.option_chain(markets[199].symbol, NOON + MINUTE)
        assert chain.fetch(cache) == []
        ingest_options(
            connection, [quote(1, underlying=market.symbol) for market in markets], source="o"
        )
        heard(cache)
        assert len(chain.fetch(cache)) == 1


# --- other things that change --------------------------------------------------------------------


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
        if not database.can("announced_sql"):
            return
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
    discard(connection)
    with open_cache(database.dsn, redis) as cache:
        assert queries.latest_price("BTC", "x").one(cache)
        connection.execute("CALL entasis.maintain()")
        heard(cache)
        assert connection.execute("SELECT FROM entasis.market_data").fetchall() == []
        assert queries.latest_price("BTC", "x").one(cache) is None


@pytest.mark.parametrize("fill", [False, True])
def test_a_week_that_lost_days_is_forgotten(
    connection: Connection, database: Database, redis: RedisServer, fill: bool
) -> None:
    store(connection, trade(1), trade(2, timestamp=NOON - timedelta(days=2)))
    week = queries.candles(
        "BTC", "x", "1w", NOON - timedelta(days=7), NOON + MINUTE, fill_gaps=fill
    )
    with open_cache(database.dsn, redis) as first, open_cache(database.dsn, redis) as second:
        assert counted(week.fetch(first)) == counted(week.fetch(second)) == 2
        connection.execute(
            "SELECT entasis_internal.raise_floor('ohlcv_1d', %s)", [NOON - timedelta(hours=12)]
        )
        heard(first, second)
        assert week.fetch(connection) == week.fetch(first) == week.fetch(second) == []
