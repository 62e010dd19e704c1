"""Caches hear of candles when a refresh stores them, at every level, and of those that vanish."""

import json
import threading
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest

from entasis_db import queries
from entasis_db.cache import Cache, CachePolicy, Refresh
from entasis_db.ingest import ingest_options, ingest_trades
from entasis_db.model import Trade
from entasis_db.queries import INTERVALS, Statement
from tests import oracle
from tests.caches import RedisServer
from tests.contract.cache.support import exactly, heard, open_cache
from tests.db import Connection, listen_for_caches
from tests.engines import Database, pause_jobs
from tests.make import NOON, quote, trade

pytestmark = [pytest.mark.hypertables, pytest.mark.copy, pytest.mark.several_connections]

DAY = timedelta(days=1)
QUESTIONS: list[Statement[Any]] = [
    *(queries.candles("BTC", "x", name, NOON - 40 * DAY, NOON + DAY) for name in INTERVALS[4:]),
    *(queries.candles("BTC", "x", name, NOON, NOON + DAY / 4) for name in INTERVALS[:4]),
    queries.latest_price("BTC", "x"),
    queries.latest_prices(),
]
LEVELS = [f"entasis.ohlcv_{level}" for level in oracle.STORED]


@pytest.fixture
def quiet(database: Database) -> Iterator[Connection]:
    """A connection to a database in which no job refreshes by itself."""
    with database.connect() as connection:
        pause_jobs(connection)
        yield connection


def store(connection: Connection, *trades: Trade) -> None:
    ingest_trades(connection, trades, source="f", id_space="ordinal")


def refresh(connection: Connection, relation: str) -> None:
    connection.execute(
        "CALL public.refresh_continuous_aggregate("
        "%s, %s, %s, options => '{\"buckets_per_batch\": 0}')",
        [relation, NOON - DAY, NOON + 2 * DAY],
    )


def compress_minutes(connection: Connection) -> None:
    connection.execute(
        "SELECT public.compress_chunk(p.partition_oid::regclass)"
        " FROM entasis_internal.partitions_of('ohlcv_1m') AS p"
    )


CHANGES = {
    "late": "",
    "corrected": "UPDATE entasis.market_data SET price = price + 1 WHERE id = 2",
    "moved": "UPDATE entasis.market_data SET timestamp = '2024-08-08 15:00Z' WHERE id = 2",
    "one deleted": "DELETE FROM entasis.market_data WHERE id = 2",
    "all deleted": "DELETE FROM entasis.market_data WHERE symbol = 'BTC'",
}


@pytest.mark.parametrize("where", ["rows", "columns"])
@pytest.mark.parametrize("change", CHANGES)
def test_between_the_refreshes_of_the_levels(
    quiet: Connection, database: Database, redis: RedisServer, change: str, where: str
) -> None:
    """Who reads an hour after its minutes were refreshed, and before it was, keeps no old one."""
    # the second lies in an hour of its own, which vanishes with it
    store(quiet, trade(1), trade(2, timestamp=NOON + DAY / 12), trade(1, symbol="ETH"))
    oracle.refresh(quiet)
    if where == "columns":
        compress_minutes(quiet)
    with open_cache(database.dsn, redis) as cache, open_cache(database.dsn, redis) as other:
        for question in QUESTIONS:
            question.fetch(cache)
        if sql := CHANGES[change]:
            quiet.execute(sql.encode())
        else:
            store(quiet, trade(3, timestamp=NOON + DAY / 12))
        for relation in LEVELS:
            refresh(quiet, relation)
            heard(cache, other)
            for question in QUESTIONS:
                candle = question.name == "candles"
                direct = exactly(question.fetch(quiet))
                # prices change before the refresh that tells of them: time bounds those
                assert exactly(question.fetch(cache)) == direct or not candle
                assert exactly(question.fetch(other)) == direct or not candle
        assert not quiet.execute("SELECT FROM entasis.check_candles()").fetchall()
        for question in QUESTIONS:
            assert exactly(question.fetch(cache)) == exactly(question.fetch(quiet))


def test_what_is_not_stored_does_not_live_long(
    quiet: Connection, database: Database, redis: RedisServer
) -> None:
    """However long ago it was over: where no job runs, nothing is told of it."""
    life = timedelta(milliseconds=400)
    policy = CachePolicy(candles={name: Refresh(life, DAY) for name in INTERVALS}, latest=life)

    def see(cache: Cache, questions: Sequence[Statement[Any]]) -> int:
        before = cache.metrics().queries
        threading.Event().wait(life.total_seconds())
        for question in questions:
            assert exactly(question.fetch(cache)) == exactly(question.fetch(quiet))
        return cache.metrics().queries - before

    with open_cache(database.dsn, redis, policy=policy) as cache:
        for n in (1, 2):
            store(quiet, trade(n))
            assert see(cache, QUESTIONS) == len(QUESTIONS)
        store(quiet, trade(3, timestamp=NOON + 375 * DAY))
        oracle.refresh(quiet)
        # the cache learns of it when it asks whether it has missed something
        threading.Event().wait(2.5)
        # months and weeks are kept by the decade and year, which are not over
        stored = [q for q in QUESTIONS[:-2] if q.params["interval"] not in ("1w", "1mo")]
        assert see(cache, stored) == len(stored)
        assert see(cache, stored) == 0
        store(quiet, trade(4))
        oracle.refresh(quiet)
        heard(cache)
        assert see(cache, stored) == len(stored)
        assert see(cache, QUESTIONS) == len(QUESTIONS) - len(stored)


def test_a_refresh_that_changes_a_lot_says_so_once(quiet: Connection, database: Database) -> None:
    quiet.execute(
        """
        INSERT INTO entasis.market_data (symbol, exchange, timestamp, id, price, volume)
        SELECT 'S' || m, 'x', t, 1, m, 1
        FROM generate_series(1, 6) AS m, generate_series(
            timestamptz '2024-08-08 00:00Z', '2024-08-14 23:59Z', interval '1 minute'
        ) AS t
        """
    )
    question = queries.candles("S6", "x", "1h", NOON, NOON + DAY)
    with database.connect() as ear, open_cache(database.dsn, None) as cache:
        listen_for_caches(ear)
        for price in (7, 8):
            oracle.refresh(quiet)
            heard(cache)
            assert exactly(question.fetch(cache)) == exactly(question.fetch(quiet))
            told = [json.loads(n.payload) for n in ear.notifies(timeout=0.5)]
            # hours of six markets in a week, of minutes and of hours, and their days
            assert len(told) <= 2 * (6 * 7 * 24) + 6 * 7 + 2
            assert told.count({"everything": True}) == 1
            quiet.execute("UPDATE entasis.market_data SET price = %s", [price])


def test_nothing_is_told_of_what_stays_below_the_floor(
    quiet: Connection, database: Database
) -> None:
    store(quiet, trade(1))
    oracle.refresh(quiet)
    with database.connect() as ear, open_cache(database.dsn, None):
        listen_for_caches(ear)
        quiet.execute("UPDATE entasis.floors SET floor = %s", [NOON + DAY])
        table = oracle.candle_table(quiet, "1m")
        assert quiet.execute(f"DELETE FROM {table}".encode()).rowcount == 0
        assert list(ear.notifies(timeout=0.2)) == []


def test_deleted_quotes_are_told_by_underlying(quiet: Connection, database: Database) -> None:
    ingest_options(quiet, [quote(n) for n in range(1, 30)], source="o")
    with database.connect() as ear, open_cache(database.dsn, None):
        listen_for_caches(ear)
        quiet.execute("DELETE FROM entasis.option_data WHERE id < 20")
        told = [json.loads(n.payload) for n in ear.notifies(timeout=0.2)]
        assert told == [{"options": ["ETH"]}]


def test_triggers_are_made_again_where_there_are_chunks(
    quiet: Connection, database: Database
) -> None:
    store(quiet, trade(1))
    oracle.refresh(quiet)
    for _ in range(2):
        quiet.execute("SELECT entasis_internal.create_candle_triggers()")
    with database.connect() as ear, open_cache(database.dsn, None):
        listen_for_caches(ear)
        store(quiet, trade(2))
        assert list(ear.notifies(timeout=0.2)) == []
        oracle.refresh(quiet)
        told = [json.loads(n.payload)["trades"] for n in ear.notifies(timeout=0.2)]
        hour, day = NOON.timestamp(), NOON.timestamp() // 86400 * 86400
        assert told == [[["BTC", "x", at, at + 3540]] for at in (hour, hour, day)]
