"""A prediction is stored once: what its key tells apart, and what it does not."""

import psycopg
import pytest

from tests.db import Connection

INSERT = (
    "INSERT INTO entasis.predictions (model_id, symbol, prediction_type, timestamp, target_time,"
    " predicted_value, confidence) VALUES (%s, %s, %s, %s, %s, 1, 1)"
)
KEY = ("m", "BTC", "price", "2024-03-01 00:00+00", "2024-03-01 01:00+00")
UNTARGETED = (*KEY[:4], None)


@pytest.mark.parametrize("key", [KEY, UNTARGETED], ids=["target", "no target"])
def test_a_key_is_stored_once(shared_connection: Connection, key: tuple[str | None, ...]) -> None:
    """A missing target_time is no other one: it counts as a value of its own."""
    with shared_connection.transaction(force_rollback=True):
        shared_connection.execute(INSERT, key)
        for place, value in enumerate(
            ("n", "ETH", "return", "2024-03-01 00:30+00", "2024-03-01 02:00+00")
        ):
            shared_connection.execute(INSERT, (*key[:place], value, *key[place + 1 :]))
        with pytest.raises(psycopg.errors.UniqueViolation) as caught:
            shared_connection.execute(INSERT, key)
        assert caught.value.diag.constraint_name == "predictions_key"


def test_values_are_bounded_as_prices_are(shared_connection: Connection) -> None:
    change = "UPDATE entasis.predictions SET predicted_value = %s"
    with shared_connection.transaction(force_rollback=True):
        shared_connection.execute(INSERT, KEY)
        for fits in ("-99999999999999999999.999999999999999999", "0.000000000000000001"):
            shared_connection.execute(change, [fits])
        for too_much in ("1e20", "-1e20", "1e-19", "NaN", "infinity"):
            with pytest.raises(psycopg.errors.CheckViolation), shared_connection.transaction():
                shared_connection.execute(change, [too_much])
