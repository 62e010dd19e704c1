"""A login without any right stops neither caches nor writers."""

import logging
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
import pytest

from entasis_db import migrate
from entasis_db.archive import archive, open_store
from entasis_db.cache.listener import writers
from entasis_db.cache.messages import understood
from entasis_db.errors import ArchiveError, MigrationError
from tests.conftest import Login
from tests.contract.cache.support import candles, counted, heard, open_cache, store, until
from tests.db import listen_for_caches
from tests.engines import Database
from tests.make import trade

pytestmark = [pytest.mark.copy, pytest.mark.several_connections, pytest.mark.newest_server]

# all that we ever took, by one number and by two
LOCKS = (
    int.from_bytes(sha256(b"entasis_db.migrate").digest()[:8], signed=True),
    (0x656E7461, 0x61726368),
    (1163154259, 0),
    (1163154259, 1),
    (1162757971, 1),
)
ENDED = """
    SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_stat_activity WHERE usename = ANY (%s::text[]))
"""
MALFORMED = [
    "",
    " ",
    "\x01",
    "\ufeff{}",
    "[" * 4000,
    '{"a":' * 1500,
    "[" * 3999 + "]" * 3999,
    "9" * 7999,
    '"' + "x" * 7990 + '"',
    *("null", "true", "1", "1e999", "NaN", '"x"', "[]", "{}", "[[]]", "nonsense"),
    '{"version": 2, "changed": []}',
    '{"everything": 1}',
    '{"everything": null}',
    '{"everything": true, "trades": 1}',
    *(f'{{"hello": {one}}}' for one in ("1", "null", "[]", "{}", '""', '"' + "0" * 7000 + '"')),
    *(f'{{"options": {one}}}' for one in ("1", "{}", '"BTC"', "[1]", "[null]", "[[]]")),
    *(f'{{"options": [{one}]}}' for one in ('"\\ud800"', '{"a": 1}', "1e400")),
    *(f'{{"trades": {one}}}' for one in ("1", "null", "{}", '"BTC"', "[1]", "[[]]", '[["BTC"]]')),
    *(
        f'{{"trades": [["BTC", "x", {span}]]}}'
        for span in ("0", "1, 0", "-1, 0", "0, 253402300800", "0, 1e300", "0, NaN", '"0", "1"')
    ),
    '{"trades": [["BTC", "x", 0, 1], ["BTC", "\\udfff", 0, 1]]}',
    '{"trades": [[["BTC"], "x", 0, 1]]}',
    '{"trades": [["BTC", "x", true, 1]]}',
]


def hold(stranger: psycopg.Connection[Any], lock: Any) -> None:
    numbers = lock if isinstance(lock, tuple) else (lock,)
    stranger.execute(
        f"SELECT pg_advisory_lock({', '.join(['%s'] * len(numbers))})".encode(), numbers
    )


def test_locks_of_a_stranger_stop_nothing(database: Database, login: Login) -> None:
    with database.connect() as connection:
        store(connection, trade(1))
        stranger = login()
        for lock in LOCKS:
            hold(stranger, lock)
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


def test_a_stranger_sends_what_it_likes(
    database: Database, login: Login, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "entasis_db.cache")
    stranger = login()
    with database.connect() as connection, open_cache(database.dsn, None) as cache:
        store(connection, trade(1))
        heard(cache)
        candles().fetch(cache)
        row = connection.execute("SELECT entasis_internal.cache_channel_name()").fetchone()
        assert row is not None
        entries = cache.metrics().entries
        # the name cannot be found out, but it may have been told
        for payload in MALFORMED:
            for channel in ("entasis_cache", *row):
                stranger.execute("SELECT pg_notify(%s, %s)", [channel, payload])
        heard(cache)
        assert cache.metrics().listening
        assert cache.metrics().entries == entries > 0
        assert len(caplog.records) == 1
        assert "was ignored" in caplog.records[0].getMessage()
        store(connection, trade(2))
        heard(cache)
        assert counted(candles().fetch(cache)) == 2


def test_what_is_sent_in_another_encoding() -> None:
    """Bytes that are no text come out of a database that takes any, and out of a Latin one."""
    for payload in (b"\xff\xfe", b'{"options": ["\xe9"]}', "\ufffd".encode()):
        with pytest.raises((ValueError, RecursionError)):
            understood(payload.decode(errors="surrogateescape"))


@pytest.mark.candle_tables  # elsewhere a refresh tells caches, not the writer
@pytest.mark.announced_sql
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


@pytest.mark.candle_tables
@pytest.mark.announced_sql
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


def test_locks_of_a_stranger_hold_up_nobody(
    database: Database, login: Login, tmp_path: Path
) -> None:
    stranger = login()
    stranger.execute(
        "SELECT pg_advisory_lock(hashtext('entasis.create_partition'), hashtext(r))"
        " FROM unnest('{market_data,ohlcv_1m,ohlcv_1h,ohlcv_1d,option_data}'::text[]) AS r"
    )
    for lock in LOCKS:
        hold(stranger, lock)
    with database.connect() as connection:
        connection.execute("SET statement_timeout = '20s'")
        store(connection, trade(1))
        archive(connection, open_store(tmp_path.as_uri()))
        assert not migrate.migrate(database.dsn).pending


def test_who_has_a_lease_is_named(
    database: Database, login: Login, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = login("entasis_admin")
    owner = login("entasis_owner")
    take = "SELECT entasis_internal.take_lease(%s)"
    assert admin.execute(take, ["archive"]).fetchone() == (None,)
    assert owner.execute(take, ["migrate"]).fetchone() == (None,)
    monkeypatch.setattr(migrate, "_PATIENCE", 0.3)
    with database.connect() as connection:
        with pytest.raises(ArchiveError, match=f"of {admin.info.user}, since"):
            archive(connection, open_store(tmp_path.as_uri()))
        with pytest.raises(MigrationError, match=f"of {owner.info.user}, since"):
            migrate.migrate(database.dsn)
        # a session that has ended has none any more
        logins = [admin.info.user, owner.info.user]
        admin.close()
        owner.close()
        until(lambda: connection.execute(ENDED, [logins]).fetchone())
        archive(connection, open_store(tmp_path.as_uri()))
        migrate.migrate(database.dsn)
        assert (
            connection.execute(
                "SELECT FROM entasis_internal.leases WHERE name IN ('archive', 'migrate')"
            ).fetchall()
            == []
        )


def test_who_may_take_a_lease(login: Login) -> None:
    for roles, names in {
        (): ("archive", "backup", "migrate", "refresh"),
        ("entasis_writer",): ("archive", "backup", "migrate", "refresh"),
        ("entasis_admin",): ("migrate", "refresh"),
    }.items():
        session = login(*roles)
        for name in names:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute("SELECT entasis_internal.take_lease(%s)", [name])
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("SELECT FROM entasis_internal.leases")
