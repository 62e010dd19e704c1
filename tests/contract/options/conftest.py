"""One database for the tests of a file, emptied for each."""

from collections.abc import Iterator

import pytest

from tests.db import Connection
from tests.engines import Database
from tests.sessions import Sessions


@pytest.fixture
def database(emptied: Database) -> Database:
    """The file's database without a row: quicker than a new one."""
    return emptied


@pytest.fixture
def connection(database: Database, sessions: Sessions) -> Iterator[Connection]:
    """A superuser's connection in autocommit mode, one that an earlier test may have used."""
    with sessions.lend() as connected:
        yield connected
