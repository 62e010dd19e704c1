"""Whether psycopg may prepare a named query on a connection: not behind a pooler.

A pooler may answer the next transaction with another session, which lacks what was prepared, or has
another client's statement under its name, whose rows would pass for the query's.
"""

from typing import Any
from weakref import WeakKeyDictionary

from psycopg import AsyncConnection, Connection

from entasis_db.direct import is_direct, is_direct_async, known_direct

# a connection that is closed soon is not asked; psycopg begins to count after these
_UNPREPARED = 5

_runs: WeakKeyDictionary[Connection[Any] | AsyncConnection[Any], int] = WeakKeyDictionary()
"""How many queries ran on a connection, as long as it is not known whether it is direct."""


def may_prepare(connection: Connection[Any]) -> bool | None:
    """Return what ``execute`` is told: False, or None where psycopg decides."""
    if _is_young(connection):
        return False
    return None if is_direct(connection) else False


async def may_prepare_async(connection: AsyncConnection[Any]) -> bool | None:
    """Return what ``may_prepare`` does."""
    if _is_young(connection):
        return False
    return None if await is_direct_async(connection) else False


def _is_young(connection: Connection[Any] | AsyncConnection[Any]) -> bool:
    """Count a query; say whether it is too early to ask, or whether nothing is prepared anyway."""
    if connection.prepare_threshold is None:
        return True
    if known_direct(connection) is not None:
        return False
    runs = _runs[connection] = _runs.get(connection, 0) + 1
    return runs <= _UNPREPARED
