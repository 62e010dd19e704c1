"""What market_data takes, whoever writes: moments, prices and volumes at their bounds."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from tests.db import ensure, one
from tests.make import insert_trades, trade

Connection = psycopg.Connection[Any]


def months(connection: Connection, moment: datetime) -> None:
    """Make the partitions around a moment."""
    ensure(connection, "market_data", moment, moment + timedelta(minutes=10))


# --- the future ----------------------------------------------------------------------------------


def test_a_trade_of_the_future_is_refused(connection: Connection) -> None:
    """Five minutes ahead of the server's clock it is not yet one."""
    soon = datetime.now(UTC) + timedelta(minutes=4)
    months(connection, soon)
    insert_trades(connection, trade(1, timestamp=soon))
    late = datetime.now(UTC) + timedelta(minutes=6)
    months(connection, late)
    with pytest.raises(psycopg.errors.CheckViolation) as caught, connection.transaction():
        insert_trades(connection, trade(2, timestamp=late))
    assert caught.value.diag.constraint_name == "market_data_timestamp_not_future"
    with pytest.raises(psycopg.errors.CheckViolation) as caught, connection.transaction():
        connection.execute("UPDATE entasis.market_data SET timestamp = %s", [late])
    assert caught.value.diag.constraint_name == "market_data_timestamp_not_future"
    assert one(connection, "SELECT array_agg(id) FROM entasis.market_data") == [1]


@pytest.mark.copy
def test_copy_is_refused_too(connection: Connection) -> None:
    late = datetime.now(UTC) + timedelta(minutes=6)
    months(connection, late)
    with (
        pytest.raises(psycopg.errors.CheckViolation, match="not_future"),
        connection.transaction(),
        connection.cursor() as cursor,
        cursor.copy(
            "COPY entasis.market_data (id, symbol, exchange, timestamp, price, volume) FROM STDIN"
        ) as copy,
    ):
        copy.write_row((1, "BTC", "x", late, 1, 1))


def test_a_long_transaction_writes_what_happened_since_it_began(connection: Connection) -> None:
    with connection.transaction():
        began = one(connection, "SELECT now()")
        months(connection, began)
        connection.execute("SELECT pg_sleep(0.2)")
        connection.execute(
            "INSERT INTO entasis.market_data (id, symbol, exchange, timestamp, price, volume)"
            " VALUES (1, 'BTC', 'x', clock_timestamp() + interval '299.9 seconds', 1, 1)"
        )
        assert one(
            connection, "SELECT timestamp > now() + interval '5 minutes' FROM entasis.market_data"
        )
