"""A question about a range whose rows are partly in the database and partly in the archive."""

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from psycopg import AsyncConnection, Connection

from entasis_db.errors import HistoryError, StoreError
from entasis_db.extras import extra
from entasis_db.history.candles import rolled_up
from entasis_db.history.columns import batches_of, rows_of, shaped
from entasis_db.history.objects import store_of, tables
from entasis_db.history.ranges import HistoryRange
from entasis_db.history.snapshot import Asked, Snapshot, read, read_async
from entasis_db.queries.statement import pandas_maker, polars_maker
from entasis_db.store import Store

with extra("archive"):
    import pyarrow as pa

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

Row = TypeVar("Row")
T = TypeVar("T")

Stores = Store | Sequence[Store]

_ATTEMPTS = 3
_REPLACED = "an archive was replaced while it was read: ask again"


@dataclass(frozen=True, slots=True)
class History(Generic[Row]):
    """A named query over all of history: what is in the database, and what only the archive has.

    The rows are those that are current. Of a range that was dropped they come from the current
    version of its archive, of any other from the relation, and none twice. One snapshot of the
    database decides that and reads its rows, in a transaction of its own: a connection that is in
    one already is refused. It ends before the archive is read.

    ``stores`` is where the archive is, or, where it lies in several places, all of them; the
    empty tuple serves as long as nothing of the range was dropped. Rows come in the query's order.

    Every method raises HistoryError when the archive cannot be read, StoreError when its store
    fails, and psycopg.Error when the server refuses.
    """

    asked: Asked[Row]
    """What is asked for."""

    def ranges(self, connection: Connection[Any]) -> list[HistoryRange]:
        """Return the parts of the range, in order, and where the rows of each are now.

        Of what is ``unknown`` there are no rows, whatever there once was.
        """
        return read(connection, self.asked, None).plan.ranges()

    async def ranges_async(self, connection: AsyncConnection[Any]) -> list[HistoryRange]:
        """Return what ``ranges`` does."""
        return (await read_async(connection, self.asked, None)).plan.ranges()

    def fetch(self, connection: Connection[Any], stores: Stores = ()) -> list[Row]:
        """Return every row; all of them are held in memory."""
        return self._gathered(connection, False, lambda found: list(self._rows(found, stores)))

    async def fetch_async(self, connection: AsyncConnection[Any], stores: Stores = ()) -> list[Row]:
        """Return every row, as ``fetch`` does; the archive is read in a thread."""
        return await self._gathered_async(
            connection, False, lambda found: list(self._rows(found, stores))
        )

    def arrow_schema(self, *, floats: bool = False) -> "pa.Schema":
        """Return the schema of ``arrow``: that of the named query."""
        return self.asked.statement.arrow_schema(floats=floats)

    def arrow(
        self, connection: Connection[Any], stores: Stores = (), *, floats: bool = False
    ) -> "pa.Table":
        """Return the answer as a pyarrow Table of ``arrow_schema``, as the named query does."""
        return self._gathered(connection, floats, lambda found: self._table(found, stores, floats))

    async def arrow_async(
        self, connection: AsyncConnection[Any], stores: Stores = (), *, floats: bool = False
    ) -> "pa.Table":
        """Return the answer as ``arrow`` does."""
        return await self._gathered_async(
            connection, floats, lambda found: self._table(found, stores, floats)
        )

    def record_batches(
        self, connection: Connection[Any], stores: Stores = (), *, floats: bool = False
    ) -> "Iterator[pa.RecordBatch]":
        """Yield the answer of ``arrow`` in record batches; memory stays below a fixed bound.

        One row group of one object is in memory at a time. The database's part is read first, and
        waits in a temporary file for its turn. An archive that is replaced while it is read, as
        may happen once its range was reopened, ends this with an error: ask again.
        """
        with (
            closing(read(connection, self.asked, floats)) as found,
            closing(self._batches(found, stores, floats)) as batches,
        ):
            try:
                yield from batches
            except (StoreError, HistoryError) as error:
                if _replaced(found, read(connection, self.asked, None)):
                    raise HistoryError(_REPLACED) from error
                raise

    async def record_batches_async(
        self, connection: AsyncConnection[Any], stores: Stores = (), *, floats: bool = False
    ) -> "AsyncIterator[pa.RecordBatch]":
        """Yield what ``record_batches`` does; the archive is read in a thread."""
        with closing(await read_async(connection, self.asked, floats)) as found:
            batches = self._batches(found, stores, floats)
            try:
                while (batch := await asyncio.to_thread(next, batches, None)) is not None:
                    yield batch
            except (StoreError, HistoryError) as error:
                if _replaced(found, await read_async(connection, self.asked, None)):
                    raise HistoryError(_REPLACED) from error
                raise

    def reader(
        self, connection: Connection[Any], stores: Stores = (), *, floats: bool = False
    ) -> "pa.RecordBatchReader":
        """Return ``record_batches`` as a reader, which DuckDB and Polars scan as a table, once."""
        return pa.RecordBatchReader.from_batches(
            self.arrow_schema(floats=floats),
            self.record_batches(connection, stores, floats=floats),
        )

    def polars(
        self, connection: Connection[Any], stores: Stores = (), *, floats: bool = False
    ) -> "pl.DataFrame":
        """Return the answer of ``arrow`` as a data frame of Polars."""
        make = polars_maker()
        return make(self.arrow(connection, stores, floats=floats))

    async def polars_async(
        self, connection: AsyncConnection[Any], stores: Stores = (), *, floats: bool = False
    ) -> "pl.DataFrame":
        """Return what ``polars`` does."""
        make = polars_maker()
        return make(await self.arrow_async(connection, stores, floats=floats))

    def pandas(
        self, connection: Connection[Any], stores: Stores = (), *, floats: bool = False
    ) -> "pd.DataFrame":
        """Return the answer of ``arrow`` as a data frame of pandas, its columns of ArrowDtype."""
        make = pandas_maker()
        return make(self.arrow(connection, stores, floats=floats))

    async def pandas_async(
        self, connection: AsyncConnection[Any], stores: Stores = (), *, floats: bool = False
    ) -> "pd.DataFrame":
        """Return what ``pandas`` does."""
        make = pandas_maker()
        return make(await self.arrow_async(connection, stores, floats=floats))

    def _gathered(
        self, connection: Connection[Any], floats: bool, make: Callable[[Snapshot], T]
    ) -> T:
        """Read a snapshot and make something of it; once more where its archive was replaced."""
        for left in reversed(range(_ATTEMPTS)):
            with closing(read(connection, self.asked, floats)) as found:
                try:
                    return make(found)
                except (StoreError, HistoryError):
                    if not left or not _replaced(found, read(connection, self.asked, None)):
                        raise
        raise AssertionError

    async def _gathered_async(
        self, connection: AsyncConnection[Any], floats: bool, make: Callable[[Snapshot], T]
    ) -> T:
        for left in reversed(range(_ATTEMPTS)):
            with closing(await read_async(connection, self.asked, floats)) as found:
                try:
                    return await asyncio.to_thread(make, found)
                except (StoreError, HistoryError):
                    now = await read_async(connection, self.asked, None)
                    if not left or not _replaced(found, now):
                        raise
        raise AssertionError

    def _table(self, found: Snapshot, stores: Stores, floats: bool) -> "pa.Table":
        batches = list(self._batches(found, stores, floats))
        return pa.Table.from_batches(batches, self.arrow_schema(floats=floats))

    def _rows(self, found: Snapshot, stores: Stores) -> Iterator[Row]:
        row = self.asked.statement.row
        if self._is_derived(found):
            yield from self._derived(found, stores)
            return
        for batch in _stored(self.asked, found, stores, floats=False):
            yield from rows_of(row, batch)

    def _batches(self, found: Snapshot, stores: Stores, floats: bool) -> Generator[Any, None, None]:
        if self._is_derived(found):
            rows = self._derived(found, stores)
            yield from batches_of(self.asked.statement.row, rows, floats)
        else:
            yield from _stored(self.asked, found, stores, floats)

    def _is_derived(self, found: Snapshot) -> bool:
        return self.asked.interval is not None and bool(found.plan.archived)

    def _derived(self, found: Snapshot, stores: Stores) -> Iterator[Any]:
        assert self.asked.interval is not None
        shorter: Iterator[Any] = (
            row
            for batch in _stored(self.asked, found, stores, floats=False)
            for row in rows_of(self.asked.statement.row, batch)
        )
        return rolled_up(self.asked.interval, shorter, found.plan.is_known, found.rates)


def _replaced(found: Snapshot, now: Snapshot) -> bool:
    """Say whether an archive that was to be read is none any more."""
    old, new = ({one.version for one in each.plan.archived} for each in (found, now))
    return not old <= new


def _stored(asked: Asked[Any], found: Snapshot, stores: Stores, floats: bool) -> Iterator[Any]:
    """Yield what is stored, in order: from the archive, and what the database had."""
    given = tuple(stores) if isinstance(stores, Sequence) else (stores,)
    chosen = {one.from_time: store_of(given, asked.relation, one) for one in found.plan.archived}
    parts: list[tuple[datetime, Any]] = [
        *((one.from_time, one) for one in found.plan.archived),
        *found.live,
    ]
    row = asked.statement.row
    for start, part in sorted(parts, key=lambda pair: pair[0]):
        if isinstance(part, HistoryRange):
            for table in tables(chosen[start], asked.relation, part, asked.where):
                yield from shaped(row, table, found.rates, floats)
        else:
            yield from part.batches()
