"""Whether psycopg may prepare a named query on a connection: not behind a pooler.

A pooler may answer the next transaction with another session, which lacks what was prepared, or has
another client's statement under its name, whose rows would pass for the query's. It tells its
clients another number of the session than the server's.
"""

from typing import Any
from weakref import WeakKeyDictionary

from psycopg import AsyncConnection, Connection

from entasis_db.cursors import AsyncCursor, Cursor

_ASK = "SELECT pg_catalog.pg_backend_pid()"
# a connection that is closed soon is not asked; psycopg begins to count after it
_UNPREPARED = 5

_runs: WeakKeyDictionary[Connection[Any] | AsyncConnection[Any], int] = WeakKeyDictionary()
"""How many queries ran on a connection, as long as it is not known whether it is direct."""
_direct: WeakKeyDictionary[Connection[Any] | AsyncConnection[Any], bool] = WeakKeyDictionary()


def may_prepare(connection: Connection[Any]) -> bool | None:
    """Return what ``execute`` is told: False, or None where psycopg decides."""
    answer = _known(connection)
    if answer is None:
        row = Cursor(connection).execute(_ASK).fetchone()
        answer = _note(connection, row)
    return None if answer else False


async def may_prepare_async(connection: AsyncConnection[Any]) -> bool | None:
    """Return what ``may_prepare`` does."""
    answer = _known(connection)
    if answer is None:
        cursor = await AsyncCursor(connection).execute(_ASK)
        answer = _note(connection, await cursor.fetchone())
    return None if answer else False


def _known(connection: Connection[Any] | AsyncConnection[Any]) -> bool | None:
    """Say whether the connection may prepare; None: it has to be asked."""
    if connection.prepare_threshold is None:
        return False
    if (answer := _direct.get(connection)) is not None:
        return answer
    if (runs := _runs.get(connection, 0)) < _UNPREPARED:
        _runs[connection] = runs + 1
        return False
    return None


def _note(connection: Connection[Any] | AsyncConnection[Any], row: tuple[Any, ...] | None) -> bool:
    assert row is not None
    answer = bool(row[0] == connection.info.backend_pid)
    _direct[connection] = answer
    return answer
