"""A writer that takes trades and option quotes one by one and stores them in small batches.

One thread of its own holds the connection and writes, whatever face the caller uses: a batch is put
into COPY's text while the server works, and an event loop is never held up by either. Rows stay in
memory until the server has confirmed their commit; a batch whose fate is not known, because the
connection broke, is written again, and the rows' own keys make that harmless.
"""

import asyncio
import logging
import random
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, timedelta
from decimal import Decimal
from itertools import islice
from time import monotonic
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from entasis_db.errors import NotWrittenError, WriterError
from entasis_db.ingest import IdSpace, IngestReport, check_row, ingest_options, ingest_trades
from entasis_db.model import OptionQuote, Trade
from entasis_db.wire import cut

_log = logging.getLogger("entasis_db.live")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 5.0  # seconds between attempts
# What passes by itself: a lost connection, a server that starts, stops, fails over, is full, or
# prefers another transaction. Anything else would be the same at the next attempt.
_PASSING = (psycopg.OperationalError, psycopg.InterfaceError, errors.ReadOnlySqlTransaction)
# A server that is gone without a word must not be waited for: seconds, but for the last, in ms.
_CONNECTION: dict[str, int] = {
    "connect_timeout": 10,
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}


@dataclass(frozen=True, slots=True)
class WriterMetrics:
    """What a writer has done so far; all but ``queued`` and ``lag`` only grow."""

    queued: int
    """Rows accepted and not yet known to be committed: they are in memory only."""
    written: int
    """Rows that this writer stored."""
    already_there: int
    """Rows that were stored before, with the same values: by another writer, or by an attempt of
    this one whose commit the server could not confirm."""
    quarantined: int
    """Rows that stand in entasis.quarantine, with their reasons."""
    lag: timedelta
    """How long ago the oldest queued row was accepted; zero when none is queued."""
    retries: int
    """Attempts that failed and were repeated."""
    last_error: str | None
    """What the last failed attempt met. None: no attempt has failed."""


class SyncTickWriter:
    """Takes rows one by one, from any number of threads, and stores them in batches.

    **Accepted** is a row whose ``put`` has returned. It is held in memory until it is committed,
    stands in quarantine, or was found there already; or until ``close`` hands it back in a
    NotWrittenError. It is lost only if this process dies. No row is stored twice: its key, with the
    id that its source gave it, is unique.

    Rows are written in the order in which they were accepted. A batch goes when it has
    ``batch_rows`` rows, or when its oldest row is half of ``max_age`` old: the other half is for
    writing it, so that a row is committed within ``max_age`` as long as the server is well. When
    ``max_queued`` rows are in memory, ``put`` waits.

    A lost connection, a server that is down, full or read-only, a deadlock and a serialization
    failure are tried again until they pass, with one warning for each outage. What cannot pass (a
    market that is on record with another id space, a missing right) ends the writer: ``put`` raises
    WriterError, and ``close`` hands the rows back.

    Use it in a ``with`` statement, which opens and closes it. It must not be carried over a fork.
    """

    def __init__(
        self,
        conninfo: str,
        *,
        source: str,
        id_space: IdSpace,
        batch_rows: int = 10_000,
        max_age: timedelta = timedelta(milliseconds=250),
        max_queued: int = 50_000,
        close_timeout: timedelta = timedelta(seconds=30),
    ) -> None:
        """Make a writer; nothing is connected before ``open``.

        ``conninfo`` is libpq's connection string. ``source`` names the feed in quarantine, where
        ``line`` counts the rows that the writer accepted, from 1. ``id_space`` is as for
        ingest_trades; a mapping may gain markets while the writer runs. ``close_timeout`` is how
        long leaving the ``with`` statement waits for the last rows.

        Raises ValueError for a number or a span that is not above 0.
        """
        for name, value in (("batch_rows", batch_rows), ("max_queued", max_queued)):
            if value < 1:
                raise ValueError(f"{name} is {value}: give 1 or more")
        for name, span in (("max_age", max_age), ("close_timeout", close_timeout)):
            if span <= timedelta(0):
                raise ValueError(f"{name} is {span}: give a span of time above 0")
        self._conninfo = _understood(conninfo)
        self._source = source
        self._id_space = id_space
        self._batch_rows = min(batch_rows, max_queued)
        self._linger = max_age.total_seconds() / 2
        self._max_queued = max_queued
        self._close_timeout = close_timeout

        # whoever holds it may look at and change everything below
        self._changed = threading.Condition()
        self._queue: deque[tuple[float, Trade | OptionQuote]] = deque()
        self._taken = 0  # rows that left the queue
        self._wanted = 0  # rows that somebody waits to see out of the queue
        self._report = IngestReport()
        self._retries = 0
        self._last_error: str | None = None
        self._closing = False
        self._abandoned = threading.Event()
        self._fault: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._connection: psycopg.Connection[Any] | None = None
        self._on_progress: Callable[[], None] = lambda: None

    def open(self) -> None:
        """Connect and begin to write.

        Raises psycopg.Error when the server cannot be reached or refuses the login: a mistake shows
        at the start, and only a connection that once stood is waited for. Raises WriterError when
        the writer was opened before.
        """
        if self._thread is not None:
            raise WriterError("a writer is opened once; make another one")
        self._connection = self._connect()
        self._thread = threading.Thread(target=self._run, name="entasis-writer", daemon=True)
        self._thread.start()

    def put(self, row: Trade | OptionQuote, timeout: timedelta | None = None) -> None:
        """Accept one row; wait for room while ``max_queued`` rows are in memory.

        Raises TypeError and ValueError when the row is a mistake in the caller's program (a float
        for a price, a time without a zone, a market that ``id_space`` does not name), TimeoutError
        when there was no room within ``timeout``, WriterError when the writer is not open, or no
        longer: the row is not accepted then.
        """
        self._check(row)
        with self._changed:
            if len(self._queue) >= self._max_queued:
                self._wait_for_room(timeout)
            self._accept(row)

    def offer(self, row: Trade | OptionQuote) -> bool:
        """Accept one row if there is room at once; say whether it was. Raises as ``put`` does."""
        self._check(row)
        with self._changed:
            if len(self._queue) >= self._max_queued:
                self._check_open()
                return False
            self._accept(row)
            return True

    def flush(self, timeout: timedelta | None = None) -> None:
        """Wait until every row that was accepted before is committed or in quarantine.

        Raises TimeoutError when that took longer, WriterError when the writer ended before.
        """
        with self._changed:
            wanted = self._wanted = max(self._wanted, self._taken + len(self._queue))
            self._changed.notify_all()
            done = self._changed.wait_for(
                lambda: self._taken >= wanted or self._fault is not None, _seconds(timeout)
            )
            if self._taken < wanted and self._fault is not None:
                raise self._ended()
        if not done:
            raise TimeoutError(f"rows were still queued after {timeout}; they stay accepted")

    def close(self, timeout: timedelta | None = None) -> None:
        """Accept no more, write what is queued, and end.

        Waits for at most ``timeout``, by default ``close_timeout``. Raises NotWrittenError with
        the rows that could not be written in that time, or that the writer held when it ended. A
        second close does nothing.
        """
        thread = self._thread
        if thread is None:
            return
        timeout = self._close_timeout if timeout is None else timeout
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: not self._queue or self._fault is not None, _seconds(timeout)
            )
            self._abandoned.set()
            rows = [row for _, row in self._queue]
            self._queue.clear()
            self._taken += len(rows)
            connection = self._connection
            self._changed.notify_all()
        if rows and connection is not None:
            cut(connection)  # else the thread might wait for the server for ever
        thread.join(timeout=_CONNECTION["connect_timeout"] if rows else None)
        self._on_progress()
        if rows:
            why = self._fault or self._last_error or f"they were not written within {timeout}"
            raise NotWrittenError(
                f"{len(rows)} accepted rows of {self._source} are not known to be stored: {why}. "
                "They are in this error's rows: keep them, and write them again",
                rows,
            ) from self._fault

    def metrics(self) -> WriterMetrics:
        """Return how the writer is doing now. It may be asked at any time, from any thread."""
        with self._changed:
            lag = monotonic() - self._queue[0][0] if self._queue else 0.0
            return WriterMetrics(
                queued=len(self._queue),
                written=self._report.inserted,
                already_there=self._report.already_there,
                quarantined=self._report.quarantined,
                lag=timedelta(seconds=lag),
                retries=self._retries,
                last_error=self._last_error,
            )

    def __enter__(self) -> Self:
        """Open the writer."""
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the writer: what was accepted is written, also when the caller's block failed."""
        self.close()

    # -------------------------------------------------------------- the caller's side

    def _check(self, row: Trade | OptionQuote) -> None:
        """Refuse a mistake in the caller's program before it is accepted."""
        if isinstance(row, Trade):
            symbol, exchange, timestamp, number, price, volume = row
            if not (
                type(price) is Decimal
                and type(volume) is Decimal
                and type(number) is int
                and type(symbol) is str
                and type(exchange) is str
                and getattr(timestamp, "tzinfo", None) is UTC
            ):
                check_row(row)
            if type(self._id_space) is not str and (symbol, exchange) not in self._id_space:
                raise ValueError(
                    f"id_space does not say how trades of {(symbol, exchange)} are numbered"
                )
        elif isinstance(row, OptionQuote):
            check_row(row)
        else:
            raise TypeError(f"a row is a Trade or an OptionQuote, and this is {type(row).__name__}")

    def _accept(self, row: Trade | OptionQuote) -> None:
        self._check_open()
        queue = self._queue
        queue.append((monotonic(), row))
        if len(queue) == 1 or len(queue) == self._batch_rows:
            self._changed.notify_all()

    def _check_open(self) -> None:
        if self._fault is not None:
            raise self._ended()
        if self._closing or self._thread is None:
            raise WriterError("the writer is not open: rows are accepted between open and close")

    def _wait_for_room(self, timeout: timedelta | None) -> None:
        if not self._changed.wait_for(
            lambda: len(self._queue) < self._max_queued or self._fault or self._closing,
            _seconds(timeout),
        ):
            raise TimeoutError(f"{self._max_queued} rows were queued for {timeout}; try it again")

    def _ended(self) -> WriterError:
        error = WriterError(
            f"the writer of {self._source} has ended: {self._fault}. close() hands back what it "
            "had accepted and not stored"
        )
        error.__cause__ = self._fault
        return error

    # -------------------------------------------------------------- the thread's side

    def _run(self) -> None:
        try:
            while batch := self._next_batch():
                report = self._write(batch)
                with self._changed:
                    if self._abandoned.is_set():
                        return
                    for _ in batch:
                        self._queue.popleft()
                    self._taken += len(batch)
                    self._report += report
                    self._changed.notify_all()
                self._on_progress()
        except _AbandonedError:
            pass
        except BaseException as fault:  # noqa: BLE001 - it is raised in the caller's thread
            with self._changed:
                self._fault = fault
                self._changed.notify_all()
            self._on_progress()
        finally:
            if self._connection is not None:
                self._connection.close()

    def _next_batch(self) -> list[Trade | OptionQuote]:
        """Wait for rows that are many enough, old enough, or wanted; none when there are no more.

        They stay in the queue, because they still count as memory and may have to go back.
        """
        with self._changed:
            while not self._closing and len(self._queue) < self._batch_rows:
                if not self._queue:
                    self._changed.wait()
                    continue
                left = self._queue[0][0] + self._linger - monotonic()
                if left <= 0 or self._wanted > self._taken:
                    break
                self._changed.wait(left)
            return [row for _, row in islice(self._queue, self._batch_rows)]

    def _write(self, batch: list[Trade | OptionQuote]) -> IngestReport:
        lines = range(self._taken + 1, self._taken + 1 + len(batch))
        numbered = list(zip(batch, lines, strict=True))
        trades = [(row, line) for row, line in numbered if isinstance(row, Trade)]
        quotes = [(row, line) for row, line in numbered if isinstance(row, OptionQuote)]
        # one ingest a transaction: two in one could deadlock with somebody else's two
        report = IngestReport()
        if trades:
            rows, numbers = zip(*trades, strict=True)
            report += self._persist(
                lambda connection: ingest_trades(
                    connection, rows, source=self._source, id_space=self._id_space, lines=numbers
                )
            )
        if quotes:
            quoted, numbers = zip(*quotes, strict=True)
            report += self._persist(
                lambda connection: ingest_options(
                    connection, quoted, source=self._source, lines=numbers
                )
            )
        return report

    def _persist(self, step: Callable[[psycopg.Connection[Any]], IngestReport]) -> IngestReport:
        """Repeat one transaction until it is committed, or cannot be."""
        pause = _FIRST_PAUSE
        failures = 0
        while True:
            if self._abandoned.is_set():
                raise _AbandonedError
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = self._connect()
                report = step(self._connection)
            except _PASSING as error:
                failures += 1
                self._note_failure(error, failures)
            else:
                if failures > 1:
                    _log.warning("%s: writing again, after %d attempts", self._source, failures)
                return report
            # at random, so that two who met do not meet again
            self._abandoned.wait(random.uniform(pause / 2, pause))  # noqa: S311
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _note_failure(self, error: psycopg.Error, failures: int) -> None:
        with self._changed:
            self._retries += 1
            self._last_error = " ".join(str(error).split())
            connection = self._connection
            # A deadlock or a serialization failure leaves a sound connection; after anything else
            # a new one is the safer choice: it may lead to a server that takes writes.
            if not isinstance(error, errors.SerializationFailure | errors.DeadlockDetected):
                self._connection = None
                if connection is not None:
                    connection.close()
        if failures == 2:
            _log.warning(
                "%s: cannot write and keeps trying, %d rows queued: %s",
                self._source,
                len(self._queue),
                self._last_error,
            )

    def _connect(self) -> psycopg.Connection[Any]:
        settings = {**_CONNECTION, **conninfo_to_dict(self._conninfo)}
        return psycopg.connect(make_conninfo("", **settings), autocommit=True)


class TickWriter:
    """Takes rows one by one in an event loop and stores them in batches, as SyncTickWriter does.

    Its promises and its arguments are those of SyncTickWriter; it writes in the same thread of its
    own, so that the event loop is held up by no query. Use it in an ``async with`` statement.
    """

    def __init__(
        self,
        conninfo: str,
        *,
        source: str,
        id_space: IdSpace,
        batch_rows: int = 10_000,
        max_age: timedelta = timedelta(milliseconds=250),
        max_queued: int = 50_000,
        close_timeout: timedelta = timedelta(seconds=30),
    ) -> None:
        """Make a writer; the arguments are those of SyncTickWriter."""
        self._writer = SyncTickWriter(
            conninfo,
            source=source,
            id_space=id_space,
            batch_rows=batch_rows,
            max_age=max_age,
            max_queued=max_queued,
            close_timeout=close_timeout,
        )
        self._progress = asyncio.Event()

    async def open(self) -> None:
        """Connect and begin to write. Raises as SyncTickWriter.open does."""
        loop = asyncio.get_running_loop()

        def tell() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._progress.set)

        self._writer._on_progress = tell
        await asyncio.to_thread(self._writer.open)

    async def put(self, row: Trade | OptionQuote) -> None:
        """Accept one row; wait for room while ``max_queued`` rows are in memory.

        Raises as SyncTickWriter.put does. A put that is cancelled while it waits was not accepted.
        """
        while not self._writer.offer(row):
            self._progress.clear()
            # what was committed before the clear would never be told again
            if self._writer.offer(row):
                return
            await self._progress.wait()

    async def flush(self, timeout: timedelta | None = None) -> None:
        """Wait until every row accepted before is committed. Raises as SyncTickWriter.flush."""
        await asyncio.to_thread(self._writer.flush, timeout)

    async def close(self, timeout: timedelta | None = None) -> None:
        """Accept no more, write what is queued, and end. Raises as SyncTickWriter.close does."""
        await asyncio.to_thread(self._writer.close, timeout)

    def metrics(self) -> WriterMetrics:
        """Return how the writer is doing now."""
        return self._writer.metrics()

    async def __aenter__(self) -> Self:
        """Open the writer."""
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the writer: what was accepted is written, also when the caller's block failed."""
        closing = asyncio.ensure_future(self.close())
        try:
            await asyncio.shield(closing)
        except asyncio.CancelledError:
            await closing  # who is cancelled once more still waits for the rows
            raise


class _AbandonedError(Exception):
    """The writer was closed, and its rows were handed back."""


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()


def _understood(conninfo: str) -> str:
    """Refuse a connection string that libpq would quote, with its password, in an error."""
    try:
        conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError:
        raise ValueError(
            "the connection string cannot be understood; write postgresql://user@host:port/name"
        ) from None
    return conninfo
