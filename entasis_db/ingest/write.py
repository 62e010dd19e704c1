"""Writing one batch in one transaction, on a connection of either kind."""

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.copy import AsyncLibpqWriter, LibpqWriter

from entasis_db.citus import is_citus, is_citus_async
from entasis_db.cursors import AsyncCursor, Cursor
from entasis_db.direct import is_direct, is_direct_async
from entasis_db.ingest import steps
from entasis_db.ingest.batch import Batch, RowBatch
from entasis_db.ingest.copy_text import utf8
from entasis_db.ingest.id_spaces import IdSpace, TimeUnits
from entasis_db.ingest.report import IngestReport
from entasis_db.ingest.steps import Compare, Copy, Execute, Query, StagesAll, Step, Unstage
from entasis_db.ingest.stored import is_what_comes
from entasis_db.ingest.targets import OPTIONS, TRADES
from entasis_db.model import OptionQuote, Trade


def ingest_trades(
    connection: psycopg.Connection[Any],
    trades: Sequence[Trade],
    *,
    source: str,
    id_space: IdSpace,
    time_unit: TimeUnits | None = None,
    lines: Sequence[int] | None = None,
) -> IngestReport:
    """Write one batch of trades in one transaction, or inside the caller's.

    ``source`` names the file or feed, ``lines`` the line of each trade in it (by default its
    position in the batch, from 1): both stand in quarantine beside what is refused. ``id_space``
    says how the trades are numbered, as entasis.markets records it; ``time_unit`` in which unit
    their source states times (s, ms or us).

    Missing months are made. A repeated trade changes nothing, except that its side, source_id and
    excluded replace a stored None, which counts as already there too. One that is stored with
    another price, volume, side or source_id goes to quarantine, as does whatever the table cannot
    hold. Where ids are the exchange's, one id is one trade: told again at another time, it is there
    already if the finer time cut to the coarser ``time_unit`` is the same, else it goes to
    quarantine too.

    Raises IdSpaceError, before anything is written, when a market is on record with another id
    space. Raises psycopg's SerializationFailure and DeadlockDetected, after which the caller
    repeats the transaction: outside a transaction of the caller's, :func:`retrying` does it.
    """
    return write_batch(connection, RowBatch(TRADES, trades, lines), source, id_space, time_unit)


def ingest_options(
    connection: psycopg.Connection[Any],
    quotes: Sequence[OptionQuote],
    *,
    source: str,
    lines: Sequence[int] | None = None,
) -> IngestReport:
    """Write one batch of option quotes, as :func:`ingest_trades` does with trades."""
    return write_batch(connection, RowBatch(OPTIONS, quotes, lines), source)


async def ingest_trades_async(
    connection: psycopg.AsyncConnection[Any],
    trades: Sequence[Trade],
    *,
    source: str,
    id_space: IdSpace,
    time_unit: TimeUnits | None = None,
    lines: Sequence[int] | None = None,
) -> IngestReport:
    """Do what :func:`ingest_trades` does, on an asynchronous connection."""
    return await write_batch_async(
        connection, RowBatch(TRADES, trades, lines), source, id_space, time_unit
    )


async def ingest_options_async(
    connection: psycopg.AsyncConnection[Any],
    quotes: Sequence[OptionQuote],
    *,
    source: str,
    lines: Sequence[int] | None = None,
) -> IngestReport:
    """Do what :func:`ingest_options` does, on an asynchronous connection."""
    return await write_batch_async(connection, RowBatch(OPTIONS, quotes, lines), source)


def write_batch(
    connection: psycopg.Connection[Any],
    batch: Batch,
    source: str,
    id_space: IdSpace | None = None,
    time_unit: TimeUnits | None = None,
) -> IngestReport:
    """Write any batch in one transaction, or inside the caller's."""
    if not (len(batch) or batch.refusals):
        return IngestReport()
    writing = steps.write(batch, source, id_space, time_unit)
    # the caller's own factories of cursors and rows are for the caller's statements
    with connection.transaction(), Cursor(connection) as cursor:
        try:
            step = next(writing)
            while True:
                try:
                    reply = _do(connection, cursor, step)
                except Exception as error:  # noqa: BLE001 - the steps decide
                    step = writing.throw(error)
                else:
                    step = writing.send(reply)
        except StopIteration as done:
            report: IngestReport = done.value
            return report


def _do(connection: psycopg.Connection[Any], cursor: psycopg.Cursor[Any], step: Step) -> Any:
    match step:
        case Query(statement, parameters):
            return cursor.execute(statement, parameters).fetchall()
        case Execute(statement, parameters):
            return cursor.execute(statement, parameters)
        case StagesAll():
            return is_citus(connection)
        case Unstage(statement):
            return None if is_direct(connection) else cursor.execute(statement)
        case Compare(statement, parameters, text):
            with cursor.copy(statement, parameters) as comes:
                return connection.wait(is_what_comes(comes, text))
        case Copy(statement, text, in_savepoint=True):
            with connection.transaction():
                return _do(connection, cursor, Copy(statement, text))
        case Copy(statement, text):
            with cursor.copy(statement, writer=_Writer(cursor)) as copy:
                for piece in text:
                    copy.write(utf8(piece))
            return cursor.rowcount


async def write_batch_async(
    connection: psycopg.AsyncConnection[Any],
    batch: Batch,
    source: str,
    id_space: IdSpace | None = None,
    time_unit: TimeUnits | None = None,
) -> IngestReport:
    """Do what :func:`write_batch` does, on an asynchronous connection."""
    if not (len(batch) or batch.refusals):
        return IngestReport()
    writing = steps.write(batch, source, id_space, time_unit)
    async with (
        connection.transaction(),
        AsyncCursor(connection) as cursor,
    ):
        try:
            step = next(writing)
            while True:
                try:
                    reply = await _do_async(connection, cursor, step)
                except Exception as error:  # noqa: BLE001 - the steps decide
                    step = writing.throw(error)
                else:
                    step = writing.send(reply)
        except StopIteration as done:
            report: IngestReport = done.value
            return report


async def _do_async(
    connection: psycopg.AsyncConnection[Any], cursor: psycopg.AsyncCursor[Any], step: Step
) -> Any:
    match step:
        case Query(statement, parameters):
            await cursor.execute(statement, parameters)
            return await cursor.fetchall()
        case Execute(statement, parameters):
            return await cursor.execute(statement, parameters)
        case StagesAll():
            return await is_citus_async(connection)
        case Unstage(statement):
            return None if await is_direct_async(connection) else await cursor.execute(statement)
        case Compare(statement, parameters, text):
            async with cursor.copy(statement, parameters) as comes:
                return await connection.wait(is_what_comes(comes, text))
        case Copy(statement, text, in_savepoint=True):
            async with connection.transaction():
                return await _do_async(connection, cursor, Copy(statement, text))
        case Copy(statement, text):
            async with cursor.copy(statement, writer=_AsyncWriter(cursor)) as copy:
                for piece in text:
                    await copy.write(utf8(piece))
            return cursor.rowcount


class _Writer(LibpqWriter):
    """Ends a COPY that is given up in silence: what the server had against it is of no interest.

    psycopg would log it as a warning, the row with it, although the row is about to be judged.
    """

    def finish(self, exc: BaseException | None = None) -> None:
        try:
            super().finish(exc)
        except psycopg.Error:
            if exc is None:
                raise


class _AsyncWriter(AsyncLibpqWriter):
    """Does what _Writer does."""

    async def finish(self, exc: BaseException | None = None) -> None:
        try:
            await super().finish(exc)
        except psycopg.Error:
            if exc is None:
                raise
