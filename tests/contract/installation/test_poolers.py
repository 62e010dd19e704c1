"""What needs a session of its own refuses a pooler, unless told that it keeps sessions apart."""

import asyncio
import re
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from entasis_db import queries
from entasis_db.cache import AsyncCache, Cache
from entasis_db.errors import SessionError
from entasis_db.maintenance import maintain
from tests.contract.cli.support import fails, succeeds
from tests.contract.retention.support import keep, load_old_rows
from tests.db import discard, one
from tests.engines import Database
from tests.poolers import FILE, configuration, pooler

pytestmark = [
    pytest.mark.several_connections,
    pytest.mark.newest_server,
    pytest.mark.usefixtures("needs_pgbouncer"),
]

_LEFT = (
    "SELECT concat_ws('|', current_setting('search_path'), current_setting('role'),"
    " current_setting('lock_timeout'), current_setting('client_min_messages'),"
    " current_setting('default_transaction_read_only'), (SELECT count(*) FROM pg_locks"
    " WHERE locktype = 'advisory' AND pid = pg_backend_pid()),"
    " (SELECT count(*) FROM pg_listening_channels()))"
)


def left(dsn: str, sessions: int = 1) -> set[Any]:
    """Return what clients find in the sessions of a pool."""
    with ExitStack() as stack:
        found = set()
        for _ in range(sessions):
            client = stack.enter_context(psycopg.connect(dsn))
            found.add(one(client, _LEFT))  # and stays in a transaction, in its session
        return found


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_a_session_of_its_own_is_required(shared: Database, mode: str, tmp_path: Path) -> None:
    commands = (
        ["migrate"],
        ["maintain"],
        ["archive", "--to", tmp_path.as_uri()],
        ["restore", "market_data", "2020-01-01", "2020-02-01", "--from", tmp_path.as_uri()],
    )
    with pooler(shared.dsn, mode=mode) as dsn:
        before = left(dsn)
        for command in commands:
            said = fails(dsn, *command)
            assert said.startswith(f"entasis: {command[0]} needs a session of its own")
            assert "--session-pooler" in said
            assert left(dsn) == before
        with psycopg.connect(dsn, autocommit=True) as connection:
            with pytest.raises(SessionError, match="session_pooler=True"):
                maintain(connection)
            assert one(connection, _LEFT) in before


def test_a_pooler_that_keeps_sessions(empty_database: Database, tmp_path: Path) -> None:
    told, place = "--session-pooler", tmp_path.as_uri()
    with pooler(empty_database.dsn, mode="session", size=3) as dsn:
        before = left(dsn, 3)
        assert "is at release" in succeeds(dsn, "migrate", "--engine", empty_database.engine, told)
        assert left(dsn, 3) == before
        with empty_database.connect() as connection:
            load_old_rows(connection)
            discard(connection, False)
            keep(connection, market_data="1 year")
            trades = one(connection, "SELECT count(*) FROM entasis.market_data")
        succeeds(dsn, "archive", "--to", place, told)
        assert left(dsn, 3) == before
        said = succeeds(dsn, "maintain", told)
        # which is a month or a chunk
        assert re.search(r"(?m)^dropped \w", said)
        assert left(dsn, 3) == before
        span = ("market_data", "2019-12-01", "2020-07-01", "--from", place)
        succeeds(dsn, "restore", *span, "--attach", told)
        assert left(dsn, 3) == before
        with empty_database.connect() as connection:
            assert one(connection, "SELECT count(*) FROM entasis.market_data") == trades


def test_a_cache_hears_only_in_a_session_of_its_own(
    shared: Database, caplog: pytest.LogCaptureFixture
) -> None:
    markets = queries.markets()

    async def hears(dsn: str) -> bool:
        async with AsyncCache(dsn, session_pooler=True) as cache:
            assert await markets.fetch_async(cache) == []
            return cache.metrics().listening

    with pooler(shared.dsn, size=2) as dsn:
        cache = Cache(dsn)
        cache.open(timedelta(seconds=0.2))
        assert markets.fetch(cache) == []
        assert not cache.metrics().listening
        cache.close()
    assert "goes through a pooler" in caplog.text
    with pooler(shared.dsn, mode="session", size=2, reset=True) as dsn:
        before = left(dsn, 2)
        with Cache(dsn, session_pooler=True) as cache:
            assert markets.fetch(cache) == []
            assert cache.metrics().listening
        assert asyncio.run(hears(dsn))
        assert left(dsn, 2) == before


def test_as_shipped(shared: Database) -> None:
    """With paths and ports alone put in, both pools lead to the database."""
    for mode in ("transaction", "session"):
        with (
            pooler(shared.dsn, mode=mode, size=None, reset=True) as dsn,
            psycopg.connect(dsn, autocommit=True) as connection,
        ):
            assert queries.markets().fetch(connection) == []
            assert one(connection, "SHOW search_path")


def test_every_setting_has_a_reason() -> None:
    lines = FILE.read_text(encoding="utf-8").splitlines()
    settings = [n for n, line in enumerate(lines) if re.match(r"\w+ = ", line)]
    assert len(settings) > 20
    assert [lines[n] for n in settings if not lines[n - 1].startswith("; ")] == []
    with pytest.raises(AssertionError, match="does not set listen_prt"):
        configuration(listen_prt="1")
