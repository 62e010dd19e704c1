"""Connections to databases with the months that the tests of candles write to."""

import pytest

from tests.contract.candles.support import make_months
from tests.db import Connection
from tests.engines import Prepare


@pytest.fixture
def prepare(request: pytest.FixtureRequest) -> Prepare | None:
    """The months, for the tests that ask for them."""
    return make_months if "trading" in request.fixturenames else None


@pytest.fixture
def trading(connection: Connection) -> Connection:
    """A connection to a database with partitions for the months of these tests."""
    return connection
