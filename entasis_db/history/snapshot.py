"""One snapshot of the database: where the rows of a range are, and those that it has itself."""

import asyncio
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from psycopg import AsyncConnection, Connection, sql
from psycopg.pq import TransactionStatus

from entasis_db.cursors import AsyncCursor, execute
from entasis_db.errors import HistoryError
from entasis_db.extras import extra
from entasis_db.history.candles import RATES, Rates
from entasis_db.history.ranges import FLOOR, RANGES, MovingError, Plan, planned
from entasis_db.queries.intervals import Interval
from entasis_db.queries.statement import Statement

with extra("archive"):
    import pyarrow as pa

Row = TypeVar("Row")

_PATIENCE, _PAUSE = 10.0, 0.2  # s, for a partition that is being dropped
_IN_MEMORY = 8 * 2**20  # bytes of rows of the database that wait for their turn; then in a file
_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"


@dataclass(frozen=True)
class Asked(Generic[Row]):
    """What is asked of history."""

    relation: str
    """Relation of schema entasis that its rows are stored in."""
    statement: Statement[Row]
    """The named query that has them as long as nothing was dropped."""
    stored: Statement[Row] = field(repr=False)
    """The query of what is stored: another one for candles that are computed from shorter ones."""
    where: Mapping[str, object] = field(repr=False)
    """What they have in the archive's columns."""
    market: tuple[str, str | None] = field(repr=False)
    """Symbol and exchange, or an underlying."""
    from_time: datetime = field(repr=False)
    """First moment of what is stored of it, UTC."""
    to_time: datetime = field(repr=False)
    """First moment after it, UTC."""
    interval: Interval | None = field(default=None, repr=False)
    """Of candles that are computed from shorter ones. None: the rows are stored as they are."""

    def of(self, bounds: tuple[datetime, datetime]) -> Statement[Row]:
        """Return the query of what is stored in a part of the range."""
        params = {**self.stored.params, "from_time": bounds[0], "to_time": bounds[1]}
        return replace(self.stored, params=MappingProxyType(params), cache_rule=None)

    @property
    def lock(self) -> sql.Composed:
        """Return the statement that keeps partitions from being dropped.

        It comes before the snapshot, which does not keep what is dropped after it.
        """
        return sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(
            sql.Identifier("entasis", self.relation)
        )

    @property
    def asking(self) -> list[tuple[str, tuple[object, ...]]]:
        """Return the queries that tell where rows are, with their parameters."""
        return [
            (FLOOR, (self.relation,)),
            (RANGES, (self.relation, *self.market, self.from_time, self.to_time)),
            (RATES, self.market),
        ]

    def found(self, answers: list[list[tuple[Any, ...]]]) -> "Snapshot":
        """Make a snapshot of the answers to them."""
        ((floor,),), ranges, rates = answers
        made = planned(self.relation, self.from_time, self.to_time, floor, ranges)
        return Snapshot(made, Rates(*rates[0]) if rates else Rates(None, None), [])


class Spool:
    """Record batches of the database that wait for their turn, in a file where they are many."""

    def __init__(self, schema: Any) -> None:
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - close() closes it
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        self._writer = pa.ipc.new_stream(pa.PythonFile(self._file, "w"), schema, options=options)

    def write(self, batch: Any) -> None:
        """Take one."""
        self._writer.write_batch(batch)

    def batches(self) -> Iterator[Any]:
        """Yield what was taken, once."""
        self._writer.close()
        self._file.seek(0)
        yield from pa.ipc.open_stream(pa.PythonFile(self._file, "r"))

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


@dataclass(frozen=True)
class Snapshot:
    """What the database had to say."""

    plan: Plan
    """Where the rows are."""
    rates: Rates
    """How turnover follows from the market's candles."""
    live: list[tuple[datetime, Spool]]
    """What it has itself, part by part, each with its beginning."""

    def close(self) -> None:
        """Let go of all files."""
        for _, spool in self.live:
            spool.close()


def read(connection: Connection[Any], asked: Asked[Any], floats: bool | None) -> Snapshot:
    """Ask where the rows are, and read those of the database; the caller closes what it gets.

    ``floats`` None: read no rows. Raises MovingError for a partition that is being dropped for
    longer than some seconds, and HistoryError where the connection is in a transaction.
    """
    _refuse_transaction(connection.info.transaction_status)
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            with connection.transaction():
                for query in (_SNAPSHOT, asked.lock):
                    execute(connection, query)
                answers = [execute(connection, query, *values) for query, values in asked.asking]
                found = asked.found(answers)
                with _closed_on_failure(found):
                    for statement, spool, form in _parts(found, asked, floats):
                        for batch in statement.record_batches(connection, floats=form):
                            spool.write(batch)
                return found
        except MovingError:
            if time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE)


async def read_async(
    connection: AsyncConnection[Any], asked: Asked[Any], floats: bool | None
) -> Snapshot:
    """Do what ``read`` does."""
    _refuse_transaction(connection.info.transaction_status)
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            async with connection.transaction():
                for query in (_SNAPSHOT, asked.lock):
                    await _execute(connection, query)
                answers = [
                    await _execute(connection, query, *values) for query, values in asked.asking
                ]
                found = asked.found(answers)
                with _closed_on_failure(found):
                    for statement, spool, form in _parts(found, asked, floats):
                        batches = statement.record_batches_async(connection, floats=form)
                        async for batch in batches:
                            spool.write(batch)
                return found
        except MovingError:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(_PAUSE)


async def _execute(
    connection: AsyncConnection[Any], query: str | sql.Composed, *values: object
) -> list[tuple[Any, ...]]:
    async with AsyncCursor(connection) as cursor:
        await cursor.execute(query, values or None)
        return await cursor.fetchall() if cursor.description is not None else []


def _refuse_transaction(status: TransactionStatus) -> None:
    if status != TransactionStatus.IDLE:
        raise HistoryError(
            "history is read in a transaction of its own: give a connection that is in none"
        )


@contextmanager
def _closed_on_failure(found: Snapshot) -> Iterator[None]:
    try:
        yield
    except BaseException:
        found.close()
        raise


def _parts(
    found: Snapshot, asked: Asked[Any], floats: bool | None
) -> Iterator[tuple[Statement[Any], Spool, bool]]:
    """Yield what is to be read of the database, where to, and whether as floats."""
    if floats is None:
        return
    # as long as nothing of them is gone, the database computes candles itself
    if not found.plan.archived:
        parts = [(asked.from_time, asked.statement)]
    else:
        parts = [(bounds[0], asked.of(bounds)) for bounds in found.plan.live]
        floats = floats and asked.interval is None  # what others are computed from is exact
    for start, statement in parts:
        spool = Spool(statement.arrow_schema(floats=floats))
        found.live.append((start, spool))
        yield statement, spool, floats
