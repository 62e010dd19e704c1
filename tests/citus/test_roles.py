"""Readers read and administrators mend, where functions look at what each node has."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.citus.test_kills import batch, load
from tests.conftest import Login
from tests.db import Connection

pytestmark = pytest.mark.workers

_READS = (
    "SELECT * FROM entasis.candles('K1', 'k', '5m', %(from)s, %(to)s)",
    "SELECT * FROM entasis.candles_filled('K1', 'k', '1h', %(from)s, %(to)s)",
    "SELECT * FROM entasis.latest_price('K1', 'k')",
    "SELECT * FROM entasis.latest_prices()",
    "SELECT * FROM entasis.ohlcv_5m",
)


def test_each_role_can_do_its_work(connection: Connection, login: Login) -> None:
    load(connection, batch(0))
    now = datetime.now(UTC)
    bounds = {"from": now - timedelta(hours=4), "to": now}
    reader, admin = login("entasis_reader"), login("entasis_admin")
    for query in _READS:
        assert reader.execute(query.encode(), bounds).fetchall(), query
    connection.execute("UPDATE entasis.ohlcv_1h SET volume = volume + 1 WHERE symbol = 'K1'")
    assert admin.execute("SELECT * FROM entasis.check_candles()").fetchall()
    admin.execute("CALL entasis.rebuild_candles(%(from)s, %(to)s)", bounds)
    assert admin.execute("SELECT * FROM entasis.check_candles()").fetchall() == []
