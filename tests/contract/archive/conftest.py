"""A place in the S3 server for each test, and the rows that retention begins with."""

import secrets

import pytest

from entasis_db.archive import Store, open_store
from tests.contract.archive.support import fill, mark
from tests.contract.retention.conftest import admin, old
from tests.contract.retention.support import load_old_rows
from tests.db import Connection
from tests.engines import Prepare
from tests.s3 import S3Server

__all__ = ["admin", "old"]


@pytest.fixture
def prepare(request: pytest.FixtureRequest) -> Prepare | None:
    """What a test asks for by the fixture's name."""
    rows = {"old": load_old_rows, "filled": fill}
    return next((rows[name] for name in rows if name in request.fixturenames), None)


@pytest.fixture
def filled(connection: Connection) -> Connection:
    """Trades and quotes of several months, some of them past their keep period."""
    return connection


@pytest.fixture
def url(s3: S3Server) -> str:
    return s3.url(secrets.token_hex(4))


@pytest.fixture
def store(filled: Connection, url: str) -> Store:
    """Where the archive goes of a database that is filled, and whose relations are all archived."""
    mark(filled)
    return open_store(url)
