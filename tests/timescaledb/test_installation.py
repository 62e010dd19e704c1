"""Which engine a server is given, and how the hypertables are cut."""

from datetime import UTC, time
from typing import Any

import psycopg
import pytest

from entasis_db.engine import check_pair
from entasis_db.errors import MigrationError
from entasis_db.migrate import migrate
from tests.engines import Database

pytestmark = pytest.mark.hypertables


def test_it_is_chosen_where_it_is_offered(empty_database: Database) -> None:
    said: list[str] = []
    assert migrate(empty_database.dsn, progress=said.append).engine == "timescaledb"
    assert said[0].startswith("engine timescaledb: this server has TimescaleDB 2.")
    # asking left nothing behind that was not wanted, and asking again changes nothing
    assert migrate(empty_database.dsn).engine == "timescaledb"


def test_a_plain_database_may_be_named_on_the_same_server(empty_database: Database) -> None:
    assert migrate(empty_database.dsn, engine="postgresql").engine == "postgresql"
    with empty_database.connect() as connection:
        assert connection.execute(
            "SELECT count(*) FROM pg_extension WHERE extname = 'timescaledb'"
        ).fetchone() == (0,)
    with pytest.raises(MigrationError, match="made for engine 'postgresql'"):
        migrate(empty_database.dsn, engine="timescaledb")


def test_the_apache_edition_is_given_plain_postgresql(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the licence is the server's, from its configuration: this one is not ours to change
    monkeypatch.setattr("entasis_db.engine._probe", lambda _: ("2.28.3", "apache", "public"))
    with pytest.raises(MigrationError, match=r"licence 'apache'.*Community edition"):
        migrate(empty_database.dsn, engine="timescaledb")
    said: list[str] = []
    assert migrate(empty_database.dsn, progress=said.append).engine == "postgresql"
    assert "Apache-2 edition" in said[0]


def test_the_extension_must_be_in_public(empty_database: Database) -> None:
    with empty_database.connect() as connection:
        connection.execute("CREATE SCHEMA elsewhere")
        connection.execute("CREATE EXTENSION timescaledb SCHEMA elsewhere")
    with pytest.raises(MigrationError, match="in schema 'elsewhere' of this database"):
        migrate(empty_database.dsn)


@pytest.mark.parametrize(
    ("postgres", "version", "supported"),
    [
        (15, "2.28.0", False), (15, "2.28.1", True), (15, "2.28.3", True), (15, "2.29.0", False),
        (16, "2.27.2", False), (16, "2.28.1", True), (16, "2.40", True),
        (17, "2.9.0", False), (17, "2.28.1-dev", True), (17, "3.0.0", True),
        (18, "2.23.9", False), (18, "2.28.1", True),
    ],
)  # fmt: skip
def test_pairs_of_versions(postgres: int, version: str, supported: bool) -> None:
    if supported:
        check_pair(postgres, version)
    else:
        with pytest.raises(
            MigrationError, match=r"is not supported; supported are 2\.28 from 2\.28\.1"
        ):
            check_pair(postgres, version)


def test_chunks_are_cut_on_purpose(connection: psycopg.Connection[Any]) -> None:
    assert dict(
        connection.execute(
            "SELECT k.relation, d.time_interval::text FROM entasis.keep_periods AS k,"
            " entasis_internal.hypertable_of(k.relation) AS h,"
            " timescaledb_information.dimensions AS d"
            " WHERE d.hypertable_schema = h.schema_name AND d.hypertable_name = h.table_name"
        ).fetchall()
    ) == {
        "market_data": "7 days",
        "option_data": "7 days",
        "ohlcv_1m": "30 days",
        "ohlcv_1h": "30 days",
        "ohlcv_1d": "30 days",
        "exchange_candles": "30 days",
    }
    # a day, and so a candle of any stored level, lies in one chunk
    connection.execute(
        "INSERT INTO entasis.market_data (symbol, exchange, timestamp, price, volume)"
        " VALUES ('a', 'b', now(), 1, 1)"
    )
    for bounds in connection.execute("SELECT from_time, to_time FROM entasis.partitions"):
        for bound in bounds:
            assert bound.astimezone(UTC).time() == time()
