"""A login without any right stops neither caches nor writers."""

from datetime import timedelta

import psycopg
import pytest

from entasis_db import migrate
from entasis_db.cache.listener import writers
from entasis_db.errors import MigrationError
from tests.conftest import Login
from tests.contract.cache.support import candles, counted, heard, open_cache, store, until
from tests.db import listen_for_caches
from tests.engines import Database
from tests.make import trade

pytestmark = [pytest.mark.copy, pytest.mark.several_connections, pytest.mark.newest_server]

FORMER_LOCKS = (
    "SELECT pg_advisory_lock(1163154259, 0), pg_advisory_lock(1163154259, 1),"
    " pg_advisory_lock(1162757971, 1)"
)
MALFORMED = ["", "[" * 4000, "[" * 4000 + "]" * 4000, "null", "\x01", '{"trades": 1}']


def test_locks_of_a_stranger_stop_nothing(database: Database, login: Login) -> None:
    with database.connect() as connection:
        store(connection, trade(1))
        login().execute(FORMER_LOCKS)
        with open_cache(database.dsn, None, max_silence=timedelta(seconds=2)) as cache:
            assert cache.metrics().listening
            assert counted(candles().fetch(cache)) == 1
            store(connection, trade(2))
            heard(cache)
            assert counted(candles().fetch(cache)) == 2


def test_a_stranger_can_neither_hold_the_lock_nor_ask_for_the_channel(login: Login) -> None:
    stranger = login()
    for query in (
        "DO 'BEGIN LOCK TABLE entasis_internal.cache_listeners IN ROW SHARE MODE; END'",
        "SELECT entasis_internal.cache_channel_name()",
        "SELECT name FROM entasis_internal.cache_channel",
        "SELECT entasis_internal.cache_listen()",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            stranger.execute(query.encode())


def test_a_stranger_sends_what_it_likes(database: Database, login: Login) -> None:
    stranger = login()
    with database.connect() as connection, open_cache(database.dsn, None) as cache:
        store(connection, trade(1))
        heard(cache)
        candles().fetch(cache)
        for payload in MALFORMED:
            stranger.execute("SELECT pg_notify('entasis_cache', %s)", [payload[:7999]])
        heard(cache)
        assert cache.metrics().listening
        assert cache.metrics().entries


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ"])
def test_a_cache_waits_for_writers_that_saw_none(database: Database, level: str) -> None:
    with database.connect() as writer, database.connect() as other:
        store(writer, trade(1))
        writer.execute(f"BEGIN ISOLATION LEVEL {level}".encode())
        writer.execute("UPDATE entasis.market_data SET volume = volume + 1")
        cache = open_cache(database.dsn, None, max_silence=timedelta(seconds=30))
        with cache:
            assert not cache.metrics().listening
            assert writers(other)
            writer.execute("COMMIT")
            until(lambda: cache.metrics().listening)


def test_a_reader_with_an_old_snapshot_tells_caches_all_the_same(database: Database) -> None:
    with database.connect() as writer, database.connect() as ear:
        store(writer, trade(1))
        listen_for_caches(ear)
        writer.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        writer.execute("SELECT FROM entasis.market_data")
        with open_cache(database.dsn, None) as cache:
            assert cache.metrics().listening
            writer.execute("UPDATE entasis.market_data SET side = 'buy'")
            writer.execute("COMMIT")
            assert list(ear.notifies(timeout=0.3))


def test_a_stranger_holds_up_neither_partitions_nor_migrations_for_good(
    database: Database, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = login()
    stranger.execute(
        "SELECT pg_advisory_lock(hashtext('entasis.create_partition'), hashtext(r))"
        " FROM unnest('{market_data,ohlcv_1m,ohlcv_1h,ohlcv_1d,option_data}'::text[]) AS r"
    )
    stranger.execute("SELECT pg_advisory_lock(%s)", [migrate._ADVISORY_LOCK])
    with database.connect() as connection:
        connection.execute("SET statement_timeout = '20s'")
        store(connection, trade(1))
    monkeypatch.setattr(migrate, "_PATIENCE", 0.5)
    with pytest.raises(MigrationError, match=f"of {stranger.info.user}"):
        migrate.migrate(database.dsn)
