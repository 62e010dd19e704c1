"""ALTER EXTENSION timescaledb UPDATE on a database with rows needs nothing from us."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from entasis_db.engine import check_pair
from entasis_db.errors import MigrationError
from entasis_db.migrate import migrate
from tests import oracle
from tests.catalog import facts
from tests.engines import Database, pause_jobs

pytestmark = [pytest.mark.hypertables, pytest.mark.several_connections]

FIRST = datetime(2024, 8, 8, tzinfo=UTC)
TRADES = """
    INSERT INTO entasis.market_data (symbol, exchange, timestamp, id, price, volume)
    SELECT 'S' || n %% 3, 'x', %s::timestamptz + n * interval '7 minutes', n, 1 + n %% 11, 1
    FROM generate_series(%s::integer, %s::integer) AS n"""


def older_version(connection: psycopg.Connection[Any]) -> str | None:
    """The oldest supported version that this server has beside its default one."""
    server = connection.info.server_version // 10000
    rows = connection.execute(
        "SELECT v.version FROM pg_available_extension_versions AS v"
        " INNER JOIN pg_available_extensions AS e ON v.name = e.name"
        " WHERE v.name = 'timescaledb' AND v.version <> e.default_version"
    ).fetchall()
    supported = []
    for (version,) in rows:
        try:
            check_pair(server, version)
        except MigrationError:
            continue
        supported.append(version)
    return min(supported, key=lambda v: [int(n) for n in re.findall(r"\d+", v)], default=None)


@pytest.fixture
def old(empty_database: Database) -> Database:
    with empty_database.connect() as connection:
        version = older_version(connection)
        if version is None:
            pytest.skip("this server has one version of TimescaleDB only")
        connection.execute(f"CREATE EXTENSION timescaledb VERSION '{version}'".encode())
    return empty_database


def test_an_update_of_the_extension_needs_nothing_from_us(old: Database) -> None:
    migrate(old.dsn, engine="timescaledb")
    with old.connect() as connection:
        pause_jobs(connection)
        connection.execute(TRADES, [FIRST, 1, 3000])
        oracle.refresh(connection)
        connection.execute(
            "SELECT public.compress_chunk(c) FROM public.show_chunks('entasis.market_data') AS c"
        )
        stored, candles = oracle.stored_trades(connection), oracle.stored_candles(connection)
        before = facts(connection)
        sizes = "SELECT relation, partition_name, bytes FROM entasis.partitions ORDER BY 1, 2"
        sizes_before = connection.execute(sizes).fetchall()
    # the new library is loaded by a session whose first statement this is
    with old.connect() as connection:
        connection.execute("ALTER EXTENSION timescaledb UPDATE")
    with old.connect() as connection:
        assert oracle.stored_trades(connection) == stored
        assert oracle.stored_candles(connection) == candles
        assert connection.execute(sizes).fetchall() == sizes_before
        after = facts(connection)
        assert {kind for kind in before if before[kind] != after[kind]} == set()
        # and everything goes on: late trades, corrections, compression, refreshes, the daily job
        connection.execute(TRADES, [FIRST + timedelta(seconds=1), 3001, 3100])
        connection.execute("UPDATE entasis.market_data SET price = 99 WHERE id = 7")
        connection.execute("DELETE FROM entasis.market_data WHERE id = 8")
        oracle.assert_candles_are_right(connection)
        connection.execute("CALL entasis.maintain()")
        assert connection.execute("SELECT count(*) FROM entasis.jobs").fetchone() == (3,)
        assert connection.execute("SELECT relation FROM entasis.lifecycle").fetchall()
    assert migrate(old.dsn).pending == ()
