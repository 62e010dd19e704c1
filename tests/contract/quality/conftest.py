"""One database for the tests of a file, emptied for each."""

from tests.contract.trades.conftest import connection, database

__all__ = ["connection", "database"]
