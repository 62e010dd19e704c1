"""Cursors for statements of ours on a caller's connection.

Their rows are tuples, whatever the connection's own factories are. Times and intervals are read
whatever style the session has for them. Nothing is prepared: behind a pooler the next transaction
may be answered by another session, which lacks what was prepared, or has another client's statement
under its name.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Self

import psycopg
from psycopg.abc import Buffer, Params, PQGen
from psycopg.adapt import AdaptersMap, Loader
from psycopg.pq import Format
from psycopg.rows import tuple_row
from psycopg.sql import Composable

from entasis_db.errors import NoWritesError


def is_binary(connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> bool:
    """Return whether the answers for this session are to be sent in the binary format.

    The loaders of text read times and intervals of one style only.
    """
    status = connection.pgconn.parameter_status
    readable = (status(b"DateStyle") or b"").startswith(b"ISO")
    return not (readable and status(b"IntervalStyle") == b"postgres")


class _Utf8(Loader):
    """Text of a session whose client_encoding is SQL_ASCII: the database's, which is UTF8."""

    def load(self, data: Buffer) -> str:
        return str(data, "utf-8")


class _Utf8Binary(_Utf8):
    format = Format.BINARY


def register_text(connection: Any, adapters: AdaptersMap) -> None:
    """Have a cursor load text as such where psycopg would load bytes."""
    if connection.info.encoding == "ascii":
        for name in ("text", "varchar", "bpchar", "name"):
            for loader in (_Utf8, _Utf8Binary):
                adapters.register_loader(name, loader)


NO_WRITES = (
    "this server takes no writes, as it is a replica or its sessions are read-only: connect to the "
    "primary (in a connection string of several hosts, add target_session_attrs=read-write)"
)


@contextmanager
def needs_primary() -> Iterator[None]:
    """Say of a server that takes no writes what is needed, and not which statement it refused."""
    try:
        yield
    except psycopg.errors.ReadOnlySqlTransaction as error:
        raise NoWritesError(NO_WRITES) from error


class Cursor(psycopg.Cursor[tuple[Any, ...]]):
    """A cursor of rows that are tuples, whose statements are never prepared."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        """Make a cursor of a connection that may have factories of its own."""
        super().__init__(connection, row_factory=tuple_row)
        register_text(connection, self.adapters)

    def execute(self, query: Any, params: Params | None = None, **_: Any) -> Self:
        """Run a statement."""
        binary = is_binary(self.connection)
        with needs_primary():
            return super().execute(query, params, prepare=False, binary=binary)

    @contextmanager
    def copy(self, *arguments: Any, **options: Any) -> Iterator[psycopg.Copy]:
        """Run a COPY."""
        with needs_primary(), super().copy(*arguments, **options) as copy:
            yield copy


class AsyncCursor(psycopg.AsyncCursor[tuple[Any, ...]]):
    """What Cursor is, on an asynchronous connection."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Make a cursor of a connection that may have factories of its own."""
        super().__init__(connection, row_factory=tuple_row)
        register_text(connection, self.adapters)

    async def execute(self, query: Any, params: Params | None = None, **_: Any) -> Self:
        """Run a statement."""
        binary = is_binary(self.connection)
        with needs_primary():
            return await super().execute(query, params, prepare=False, binary=binary)

    @asynccontextmanager
    async def copy(self, *arguments: Any, **options: Any) -> AsyncIterator[psycopg.AsyncCopy]:
        """Run a COPY."""
        with needs_primary():
            async with super().copy(*arguments, **options) as copy:
                yield copy


def gather(copy: Any, size: int, piece: bytearray) -> PQGen[None]:
    """Receive rows of a COPY until a piece has so many bytes, or there are no more.

    It is a generator that psycopg waits for: it does what ``copy.read()`` does for each row,
    without waiting for each one by itself, which takes longer than to send it.
    """
    read = copy._read_gen
    while len(piece) < size and (row := (yield from read())):
        piece += row


def execute(
    connection: psycopg.Connection[Any], query: str | Composable, *values: object
) -> list[tuple[Any, ...]]:
    """Run a statement by a Cursor, and return its rows, if it has any."""
    with Cursor(connection) as cursor:
        cursor.execute(query, values or None)
        return cursor.fetchall() if cursor.description is not None else []
