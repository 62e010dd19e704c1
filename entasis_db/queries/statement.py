"""A named query with its parameters: what to run, and what comes back."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from psycopg import AsyncConnection, AsyncCursor, Connection, Cursor

from entasis_db.queries.cache_rules import CacheRule
from entasis_db.queries.decoding import is_binary, register_loaders, rows_of

Row = TypeVar("Row")


class Reader(ABC):
    """Something else than a connection that answers statements: a cache in front of one."""

    @abstractmethod
    def fetch(self, statement: "Statement[Row]") -> list[Row]:
        """Return every row, in the query's order."""


class AsyncReader(ABC):
    """What Reader is, for an event loop."""

    @abstractmethod
    async def fetch_async(self, statement: "Statement[Row]") -> list[Row]:
        """Return every row, in the query's order."""


@dataclass(frozen=True, slots=True)
class Statement(Generic[Row]):
    """One named query, ready to run on any connection of the caller's.

    It runs inside whatever transaction the connection is in, and never begins, commits or rolls
    back one itself (a connection that is not in autocommit mode begins one, as psycopg always
    does). No setting, row factory or loader of the connection is changed or minded: rows are
    instances of ``row``, their times are in UTC whatever the session's TimeZone is, and their
    numbers are Decimal.

    A statement is immutable and holds no connection: keep it, and run it as often as you like.
    """

    name: str
    """Name of the query: that of its file, without ``.sql``."""
    sql: str = field(repr=False)
    """Text of the query with psycopg's ``%(name)s`` parameters."""
    params: Mapping[str, object]
    """A value for each parameter."""
    row: type[Row]
    """Class of the rows, whose fields are the query's columns in their order."""
    cache_rule: CacheRule | None = field(default=None, repr=False)
    """How a cache keeps the answer. None: it does not."""

    def fetch(self, connection: Connection[Any] | Reader) -> list[Row]:
        """Return every row, in the query's order; all of them are held in memory.

        Raises psycopg.Error when the server refuses or cannot be reached.
        """
        if isinstance(connection, Reader):
            return connection.fetch(self)
        with Cursor(connection, row_factory=rows_of(self.row)) as cursor:
            register_loaders(cursor.adapters)
            cursor.execute(self.sql.encode(), self.params, binary=is_binary(connection))
            return cursor.fetchall()

    async def fetch_async(self, connection: AsyncConnection[Any] | AsyncReader) -> list[Row]:
        """Return every row, as ``fetch`` does."""
        if isinstance(connection, AsyncReader):
            return await connection.fetch_async(self)
        async with AsyncCursor(connection, row_factory=rows_of(self.row)) as cursor:
            register_loaders(cursor.adapters)
            await cursor.execute(self.sql.encode(), self.params, binary=is_binary(connection))
            return await cursor.fetchall()

    def one(self, connection: Connection[Any] | Reader) -> Row | None:
        """Return the first row, or None when there is none."""
        rows = self.fetch(connection)
        return rows[0] if rows else None

    async def one_async(self, connection: AsyncConnection[Any] | AsyncReader) -> Row | None:
        """Return the first row, or None when there is none."""
        rows = await self.fetch_async(connection)
        return rows[0] if rows else None


def statement(
    name: str, row: type[Row], cache_rule: CacheRule | None = None, /, **params: object
) -> Statement[Row]:
    """Make the statement of ``<name>.sql``."""
    return Statement(name, text(name), MappingProxyType(params), row, cache_rule)


@cache
def text(name: str) -> str:
    """Return the text of ``<name>.sql``."""
    return files(__package__).joinpath(f"{name}.sql").read_text(encoding="utf-8")
