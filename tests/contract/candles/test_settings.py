"""What any session may set switches off nothing that candles and ids rely on."""

from datetime import timedelta

import pytest
from psycopg import errors

from tests import oracle
from tests.db import Connection, ensure
from tests.make import NOON, insert_trades, trade

pytestmark = [pytest.mark.candle_tables, pytest.mark.newest_server_when_short]

SETTINGS = ("entasis.moved", "entasis.recompute")


@pytest.mark.merge
@pytest.mark.parametrize("name", SETTINGS)
def test_a_merge_that_moves_trades_sets_what_it_likes(connection: Connection, name: str) -> None:
    if connection.info.server_version < 170000:
        pytest.skip("MERGE has no RETURNING before PostgreSQL 17")
    ensure(connection, "market_data", NOON, NOON + timedelta(days=40))
    insert_trades(connection, trade(1), trade(2))
    connection.execute(
        "MERGE INTO entasis.market_data AS t USING (VALUES (2)) AS s (id) ON t.id = s.id"
        " WHEN MATCHED THEN UPDATE SET timestamp = t.timestamp + interval '31 days'"
        f" RETURNING set_config('{name}', 'off', true)".encode()
    )
    oracle.assert_candles_are_right(connection)


@pytest.mark.volatile_writes
@pytest.mark.parametrize("name", SETTINGS)
def test_a_statement_within_another_sets_what_it_likes(connection: Connection, name: str) -> None:
    ensure(connection, "market_data", NOON, NOON + timedelta(days=1))
    insert_trades(connection, trade(1))
    connection.execute(
        "CREATE FUNCTION pg_temp.upset() RETURNS text LANGUAGE plpgsql AS $$ BEGIN"
        " UPDATE entasis.market_data SET volume = volume + 1;"
        f" RETURN set_config('{name}', 'off', true); END $$".encode()
    )
    with connection.transaction():
        connection.execute(
            "INSERT INTO entasis.market_data (id, symbol, exchange, timestamp, price, volume)"
            " VALUES (2, 'BTC', 'x', %s, 5, 1) RETURNING pg_temp.upset()",
            [NOON],
        )
        insert_trades(connection, trade(3))
    oracle.assert_candles_are_right(connection)


def test_rows_of_ended_transactions_do_not_pile_up(connection: Connection) -> None:
    ensure(connection, "market_data", NOON, NOON + timedelta(days=1))
    insert_trades(connection, trade(1))
    for _ in range(3):
        connection.execute("UPDATE entasis.market_data SET volume = volume + 1")
    noted = "SELECT count(*) FROM entasis_internal.recomputing WHERE backend = pg_backend_pid()"
    assert connection.execute(noted).fetchone() == (1,)


def test_a_role_cannot_have_ids_go_unchecked_by_default(connection: Connection) -> None:
    ensure(connection, "market_data", NOON, NOON + timedelta(days=1))
    insert_trades(connection, trade(1, timestamp=NOON + timedelta(microseconds=300)))
    connection.execute("SET entasis.trade_ids = 'compared'")
    with pytest.raises(errors.UniqueViolation):
        insert_trades(connection, trade(1, timestamp=NOON))
