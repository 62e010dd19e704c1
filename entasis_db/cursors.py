"""Cursors for statements of ours on a caller's connection.

Their rows are tuples, whatever the connection's own factories are, and they prepare nothing: behind
a pooler the next transaction may be answered by another session, which lacks what was prepared, or
has another client's statement under its name.
"""

from typing import Any, Self

import psycopg
from psycopg.abc import Params
from psycopg.rows import tuple_row


class Cursor(psycopg.Cursor[tuple[Any, ...]]):
    """A cursor of rows that are tuples, whose statements are never prepared."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        """Make a cursor of a connection that may have factories of its own."""
        super().__init__(connection, row_factory=tuple_row)

    def execute(self, query: Any, params: Params | None = None, **_: Any) -> Self:
        """Run a statement."""
        return super().execute(query, params, prepare=False)


class AsyncCursor(psycopg.AsyncCursor[tuple[Any, ...]]):
    """What Cursor is, on an asynchronous connection."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Make a cursor of a connection that may have factories of its own."""
        super().__init__(connection, row_factory=tuple_row)

    async def execute(self, query: Any, params: Params | None = None, **_: Any) -> Self:
        """Run a statement."""
        return await super().execute(query, params, prepare=False)
