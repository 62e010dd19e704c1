"""A database in which no job is at work."""

from collections.abc import Iterator

import pytest

from tests.db import Connection
from tests.engines import Database, pause_jobs


@pytest.fixture
def quiet(database: Database) -> Iterator[Connection]:
    """A connection to a database in which no job refreshes or compresses by itself."""
    with database.connect() as connection:
        pause_jobs(connection)
        connection.execute("UPDATE entasis.keep_periods SET keep = NULL")
        yield connection
