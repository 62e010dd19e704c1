"""Connections to databases with the months that the tests of candles write to."""

import pytest

from tests.contract.candles.support import MONTHS
from tests.db import Connection


@pytest.fixture
def trading(connection: Connection) -> Connection:
    """A connection to a database with partitions for the months of these tests."""
    connection.execute("SELECT entasis.ensure_partitions('market_data', %s, %s)", MONTHS)
    return connection
