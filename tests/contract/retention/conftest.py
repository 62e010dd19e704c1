"""A database with rows of 2020, as the tests of retention and of floors begin with."""

import pytest

from tests.contract.retention.support import RELATIONS, _load, keep
from tests.db import Connection, discard, ensure
from tests.make import month


@pytest.fixture
def admin(connection: Connection) -> Connection:
    """A superuser's connection; what is past its keep period is discarded."""
    discard(connection)
    return connection


@pytest.fixture
def old(admin: Connection) -> Connection:
    """Trades and quotes of 2020-01 to 2020-04, and of today; nothing is dropped yet."""
    keep(admin, **dict.fromkeys(RELATIONS))
    for relation in ("market_data", "option_data"):
        ensure(admin, relation, month(2020, 1), month(2020, 5))
    with admin.transaction():  # a job may refresh candles at any time, and then the rest is late
        _load(admin)
    return admin
