"""A score never looks into the future: what trades after a moment counts for nothing at it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from entasis_db import queries
from tests import oracle
from tests.db import Connection

pytestmark = pytest.mark.native_speed_when_short

NINE = datetime(2025, 3, 3, 9, tzinfo=UTC)


@pytest.fixture
def market(connection: Connection) -> Connection:
    """Trades at 09:00:10 (100), 09:01:10 (110) and 09:01:50 (200)."""
    trades = ((NINE + timedelta(seconds=10), 1, 100), (NINE + timedelta(seconds=70), 2, 110))
    for at, number, price in (*trades, (NINE + timedelta(seconds=110), 3, 200)):
        connection.execute(
            "SELECT entasis.ensure_partitions('market_data', %s, %s)", [at, at + timedelta(1)]
        )
        connection.execute(
            "INSERT INTO entasis.market_data (symbol, exchange, timestamp, id, price, volume)"
            " VALUES ('BTC', 'x', %s, %s, %s, 1)",
            [at, number, price],
        )
    oracle.refresh(connection)
    return connection


def score(connection: Connection, made: datetime, target: datetime) -> queries.PredictionScore:
    connection.execute(
        "INSERT INTO entasis.predictions (model_id, symbol, prediction_type, predicted_value,"
        " confidence, timestamp, target_time) VALUES ('m', 'BTC', 'price', 1, 1, %s, %s)",
        [made, target],
    )
    found = queries.prediction_scores("m", "BTC", "x", made, made + timedelta(days=1))
    (row,) = found.fetch(connection)
    return row


def test_the_minute_that_closes_after_the_target_does_not_count(market: Connection) -> None:
    """At 09:01:30 that minute's last trade, at 200, is still to come."""
    scored = score(market, NINE + timedelta(seconds=30), NINE + timedelta(seconds=90))
    assert (scored.base_price, scored.target_price) == (Decimal(100), Decimal(100))


def test_the_minute_that_closes_after_the_prediction_does_not_count(market: Connection) -> None:
    scored = score(market, NINE + timedelta(seconds=90), NINE + timedelta(seconds=110))
    # a trade at the very moment does
    assert (scored.base_price, scored.target_price) == (Decimal(100), Decimal(200))
