"""A position has one snapshot at a time, and holds what is really held: short, and in spreads."""

from uuid import UUID

import psycopg
import pytest

from tests.db import Connection

pytestmark = pytest.mark.native_speed_when_short

INSERT = (
    "INSERT INTO entasis.portfolio_status (user_id, asset_type, timestamp, position_size,"
    " entry_price, current_price, pnl) VALUES (%s, %s, %s, %s, %s, %s, %s)"
)
KEY = (UUID(int=1), "BTC", "2024-03-01 00:00+00")


def test_a_key_is_stored_once(shared_connection: Connection) -> None:
    with shared_connection.transaction(force_rollback=True):
        shared_connection.execute(INSERT, (*KEY, 1, 1, 1, 0))
        for place, value in enumerate((UUID(int=2), "ETH", "2024-03-01 00:00:00.000001+00")):
            shared_connection.execute(
                INSERT, (*KEY[:place], value, *KEY[place + 1 :], -1, -1, -1, 0)
            )
        with pytest.raises(psycopg.errors.UniqueViolation) as caught:
            shared_connection.execute(INSERT, (*KEY, 1, 1, 1, 0))
        assert caught.value.diag.constraint_name == "portfolio_status_key"


@pytest.mark.parametrize("column", ["position_size", "entry_price", "current_price"])
def test_sizes_and_prices_are_bounded_as_those_of_trades_and_may_be_negative(
    shared_connection: Connection, column: str
) -> None:
    change = f"UPDATE entasis.portfolio_status SET {column} = %s"
    with shared_connection.transaction(force_rollback=True):
        shared_connection.execute(INSERT, (*KEY, 1, 1, 1, 0))
        for fits in (
            "-99999999999999999999.999999999999999999",
            "-0.000000000000000001",
            "99999999999999999999.999999999999999999",
        ):
            shared_connection.execute(change, [fits])
        for too_much in ("1e20", "-1e20", "1e-19", "NaN", "infinity", "-infinity"):
            with (
                pytest.raises(psycopg.errors.CheckViolation) as caught,
                shared_connection.transaction(),
            ):
                shared_connection.execute(change, [too_much])
            assert caught.value.diag.constraint_name == f"portfolio_status_{column}_exact"
