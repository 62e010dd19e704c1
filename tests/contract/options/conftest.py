"""One database for the tests of a file, emptied for each, as those of trades have it."""

from tests.contract.trades.conftest import connection, database

__all__ = ["connection", "database"]
