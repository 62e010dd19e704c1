"""Whether a connection leads to PostgreSQL itself, or through a pooler that may share its session.

A pooler tells its clients another number of the session than the server's.
"""

from typing import Any
from weakref import WeakKeyDictionary

from psycopg import AsyncConnection, Connection

from entasis_db.cursors import AsyncCursor, Cursor

_ASK = "SELECT pg_catalog.pg_backend_pid()"
_known: WeakKeyDictionary[Connection[Any] | AsyncConnection[Any], bool] = WeakKeyDictionary()


def known_direct(connection: Connection[Any] | AsyncConnection[Any]) -> bool | None:
    """Say whether it is known to be direct; None: it was not asked yet."""
    return _known.get(connection)


def is_direct(connection: Connection[Any]) -> bool:
    """Say whether there is no pooler; a connection is asked once."""
    answer = known_direct(connection)
    return (
        _note(connection, Cursor(connection).execute(_ASK).fetchone()) if answer is None else answer
    )


async def is_direct_async(connection: AsyncConnection[Any]) -> bool:
    """Say what ``is_direct`` does."""
    if (answer := known_direct(connection)) is not None:
        return answer
    cursor = await AsyncCursor(connection).execute(_ASK)
    return _note(connection, await cursor.fetchone())


def _note(connection: Connection[Any] | AsyncConnection[Any], row: tuple[Any, ...] | None) -> bool:
    assert row is not None
    _known[connection] = answer = bool(row[0] == connection.info.backend_pid)
    return answer
