"""A database with rows of 2020, as the tests of retention and of floors begin with."""

import pytest

from tests.contract.retention.support import load_old_rows
from tests.db import Connection, discard
from tests.engines import Prepare


@pytest.fixture
def prepare(request: pytest.FixtureRequest) -> Prepare | None:
    """The old rows, for the tests that ask for them."""
    return load_old_rows if "old" in request.fixturenames else None


@pytest.fixture
def admin(connection: Connection) -> Connection:
    """A superuser's connection; what is past its keep period is discarded."""
    discard(connection)
    return connection


@pytest.fixture
def old(admin: Connection) -> Connection:
    """Trades and quotes of 2020-01 to 2020-04, and of today; nothing is dropped yet."""
    return admin
