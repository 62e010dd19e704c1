"""One database for the tests of a file, emptied for each."""

import pytest

from tests.engines import Database


@pytest.fixture
def database(emptied: Database) -> Database:
    """The file's database without a row: quicker than a new one."""
    return emptied
