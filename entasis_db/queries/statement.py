"""A named query with its parameters: what to run, and what comes back."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from psycopg import AsyncConnection, AsyncCursor, Connection, Cursor

from entasis_db.cursors import is_binary, register_text
from entasis_db.extras import extra
from entasis_db.queries.cache_rules import CacheRule
from entasis_db.queries.decoding import collector_paused, register_loaders, rows_of
from entasis_db.queries.preparing import may_prepare, may_prepare_async

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

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


class BatchReader(Reader):
    """A Reader that answers in Arrow too: replicas and their primary."""

    @abstractmethod
    def batches(self, statement: "Statement[Any]", *, floats: bool) -> "list[pa.RecordBatch]":
        """Return the answer in record batches."""

    @abstractmethod
    def record_batches(
        self, statement: "Statement[Any]", *, floats: bool
    ) -> "Iterator[pa.RecordBatch]":
        """Yield them as they come."""


class AsyncBatchReader(AsyncReader):
    """What BatchReader is, for an event loop."""

    @abstractmethod
    async def batches_async(
        self, statement: "Statement[Any]", *, floats: bool
    ) -> "list[pa.RecordBatch]":
        """Return the answer in record batches."""

    @abstractmethod
    def record_batches_async(
        self, statement: "Statement[Any]", *, floats: bool
    ) -> "AsyncIterator[pa.RecordBatch]":
        """Yield them as they come."""


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
            register_text(connection, cursor.adapters)
            cursor.execute(
                self.sql.encode(),
                self.params,
                prepare=may_prepare(connection),
                binary=is_binary(connection),
            )
            with collector_paused():
                return cursor.fetchall()

    async def fetch_async(self, connection: AsyncConnection[Any] | AsyncReader) -> list[Row]:
        """Return every row, as ``fetch`` does."""
        if isinstance(connection, AsyncReader):
            return await connection.fetch_async(self)
        async with AsyncCursor(connection, row_factory=rows_of(self.row)) as cursor:
            register_loaders(cursor.adapters)
            register_text(connection, cursor.adapters)
            await cursor.execute(
                self.sql.encode(),
                self.params,
                prepare=await may_prepare_async(connection),
                binary=is_binary(connection),
            )
            with collector_paused():
                return await cursor.fetchall()

    def one(self, connection: Connection[Any] | Reader) -> Row | None:
        """Return the first row, or None when there is none."""
        rows = self.fetch(connection)
        return rows[0] if rows else None

    async def one_async(self, connection: AsyncConnection[Any] | AsyncReader) -> Row | None:
        """Return the first row, or None when there is none."""
        rows = await self.fetch_async(connection)
        return rows[0] if rows else None

    def arrow_schema(self, *, floats: bool = False) -> "pa.Schema":
        """Return the schema of ``arrow`` and ``record_batches``, which no answer changes.

        A column for each field of ``row``: text, int64, booleans, timestamps in microseconds and
        UTC, decimals of 38 digits (18 of them decimals; 24 of sums and quotients), or float64 with
        ``floats``. Computed numbers that may not fit are followed by a column ``<name>_text``: it
        has every digit of one that does not, which is null itself.
        """
        from entasis_db.queries.arrow import schema_of

        return schema_of(self.row, floats)

    def arrow(
        self, connection: Connection[Any] | BatchReader, *, floats: bool = False
    ) -> "pa.Table":
        """Return the answer as a pyarrow Table of ``arrow_schema``, in the query's order.

        Numbers are exact, or with ``floats`` the nearest float64. Nothing of a row becomes a
        Python object: candles and quotes take less than half the time of ``fetch``. The query runs
        inside a COPY, so not in psycopg's pipeline mode.

        It needs the extra ``entasis-db[arrow]``. Raises psycopg.Error as ``fetch`` does, and
        psycopg.DataError for a value that has no exact form in Arrow, as an infinite time.
        """
        with extra("arrow"):
            import pyarrow as pa

        if isinstance(connection, BatchReader):
            batches = connection.batches(self, floats=floats)
        else:
            batches = list(self.record_batches(connection, floats=floats))
        return pa.Table.from_batches(batches, self.arrow_schema(floats=floats))

    async def arrow_async(
        self, connection: AsyncConnection[Any] | AsyncBatchReader, *, floats: bool = False
    ) -> "pa.Table":
        """Return the answer as ``arrow`` does."""
        with extra("arrow"):
            import pyarrow as pa

        if isinstance(connection, AsyncBatchReader):
            batches = await connection.batches_async(self, floats=floats)
        else:
            found = self.record_batches_async(connection, floats=floats)
            batches = [batch async for batch in found]
        return pa.Table.from_batches(batches, self.arrow_schema(floats=floats))

    def record_batches(
        self, connection: Connection[Any] | BatchReader, *, floats: bool = False
    ) -> "Iterator[pa.RecordBatch]":
        """Yield the answer of ``arrow`` in record batches, of which two at most are in memory.

        They have some thousand rows each; without rows there is none. The connection can do
        nothing else meanwhile. To stop before the end cancels the query, which fails the
        transaction that it runs in: the caller's, where there is one.
        """
        if isinstance(connection, BatchReader):
            return connection.record_batches(self, floats=floats)
        from entasis_db.queries.arrow import record_batches

        return record_batches(connection, self, floats)

    def record_batches_async(
        self, connection: AsyncConnection[Any] | AsyncBatchReader, *, floats: bool = False
    ) -> "AsyncIterator[pa.RecordBatch]":
        """Yield what ``record_batches`` does."""
        if isinstance(connection, AsyncBatchReader):
            return connection.record_batches_async(self, floats=floats)
        from entasis_db.queries.arrow import record_batches_async

        return record_batches_async(connection, self, floats)

    def polars(
        self, connection: Connection[Any] | BatchReader, *, floats: bool = False
    ) -> "pl.DataFrame":
        """Return the answer of ``arrow`` as a data frame of Polars.

        It needs the extra ``entasis-db[polars]``.
        """
        make = polars_maker()  # what is missing is missed before the query
        return make(self.arrow(connection, floats=floats))

    async def polars_async(
        self, connection: AsyncConnection[Any] | AsyncBatchReader, *, floats: bool = False
    ) -> "pl.DataFrame":
        """Return what ``polars`` does."""
        make = polars_maker()
        return make(await self.arrow_async(connection, floats=floats))

    def pandas(
        self, connection: Connection[Any] | BatchReader, *, floats: bool = False
    ) -> "pd.DataFrame":
        """Return the answer of ``arrow`` as a data frame of pandas, its columns of ArrowDtype.

        So decimals stay exact, and a missing number is none. It needs the extra
        ``entasis-db[pandas]``.
        """
        make = pandas_maker()
        return make(self.arrow(connection, floats=floats))

    async def pandas_async(
        self, connection: AsyncConnection[Any] | AsyncBatchReader, *, floats: bool = False
    ) -> "pd.DataFrame":
        """Return what ``pandas`` does."""
        make = pandas_maker()
        return make(await self.arrow_async(connection, floats=floats))


def statement(
    name: str, row: type[Row], cache_rule: CacheRule | None = None, /, **params: object
) -> Statement[Row]:
    """Make the statement of ``<name>.sql``."""
    return Statement(name, text(name), MappingProxyType(params), row, cache_rule)


def statement_of(room: str, name: str, row: type[Row], /, **params: object) -> Statement[Row]:
    """Make the statement of ``<name>.sql`` that lies in another package; no cache keeps it."""
    return Statement(name, text(name, room), MappingProxyType(params), row)


@cache
def text(name: str, room: str = __package__) -> str:
    """Return the text of ``<name>.sql``."""
    return files(room).joinpath(f"{name}.sql").read_text(encoding="utf-8")


def polars_maker() -> "Callable[[pa.Table], pl.DataFrame]":
    """Return what makes a data frame of Polars; MissingExtraError where that is not installed."""
    with extra("polars"):
        import polars as pl

    def make(table: "pa.Table") -> "pl.DataFrame":
        frame = pl.from_arrow(table)
        assert isinstance(frame, pl.DataFrame)
        return frame

    return make


def pandas_maker() -> "Callable[[pa.Table], pd.DataFrame]":
    """Return what makes a data frame of pandas; MissingExtraError where that is not installed."""
    with extra("pandas"):
        import pandas as pd

    def make(table: "pa.Table") -> "pd.DataFrame":
        return table.to_pandas(types_mapper=pd.ArrowDtype)

    return make
