"""Sessions that tests use one after another, as those of a service's pool are used.

A new session plans and compiles all that it runs: with many partitions that takes longer than most
tests. What a test may have set is set back; a connection that it changed otherwise is closed.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from psycopg import OperationalError
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from tests.db import Connection
from tests.engines import Database

# all that DISCARD ALL does, but for the plans
_SET_BACK = """
    CLOSE ALL; RESET SESSION AUTHORIZATION; RESET ALL; UNLISTEN *; DISCARD TEMP;
    SELECT pg_catalog.pg_advisory_unlock_all()
"""


class Sessions:
    """Superuser's connections to one database, in autocommit mode."""

    def __init__(self, database: Database, stack: ExitStack) -> None:
        """``stack`` closes them."""
        self._database = database
        self._stack = stack
        # Where all connections have one session, it is set back when the last of them is closed.
        self._keeps = database.can("several_connections")
        self._free: list[Connection] = []

    @contextmanager
    def lend(self) -> Iterator[Connection]:
        """Lend a connection, one of those that came back if there is one."""
        connection = self._free.pop() if self._free else self._new()
        try:
            yield connection
        finally:
            if self._keeps and _is_as_new(connection) and _set_back(connection):
                self._free.append(connection)
            else:
                connection.close()

    def _new(self) -> Connection:
        return self._stack.enter_context(self._database.connect())


def _set_back(connection: Connection) -> bool:
    try:
        connection.execute(_SET_BACK)
    except OperationalError:  # somebody has terminated it
        return False
    return True


def _is_as_new(connection: Connection) -> bool:
    return (
        not connection.closed
        and connection.info.transaction_status == TransactionStatus.IDLE
        and connection.autocommit
        and connection.row_factory is tuple_row
        and connection.isolation_level is None
        and connection.prepare_threshold == 5
    )
