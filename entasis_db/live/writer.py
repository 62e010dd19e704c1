"""The writer for threads.

A thread of its own holds the connection and writes, also for AsyncTickWriter: while the server
works on one batch, the next is turned into COPY's text, and no event loop waits for either. Rows
stay in memory until the server has confirmed their commit. A batch whose fate is unknown, because
the connection broke, is written again, and the rows' own keys make that harmless.
"""

import logging
import threading
from collections.abc import Callable
from datetime import UTC, timedelta
from decimal import Decimal
from time import monotonic
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg.conninfo import conninfo_to_dict

from entasis_db.errors import NotWrittenError, WriterError
from entasis_db.ingest import IdSpace, IngestReport, TimeUnits, check_row
from entasis_db.live.batching import Batching, Row
from entasis_db.live.metrics import WriterMetrics
from entasis_db.live.notices import Notices
from entasis_db.live.opening import CONNECT_TIMEOUT, connect, wait_for_server
from entasis_db.live.retries import keeps_connection, passes, pauses
from entasis_db.live.transactions import last_refusal, transactions
from entasis_db.live.unreadable import Unreadable
from entasis_db.model import OptionQuote, Trade
from entasis_db.wire import cut

_log = logging.getLogger("entasis_db.live")

_MORE = "{}: %d more rows went to entasis.quarantine in %d s"


class TickWriter:
    """Takes rows one by one, from any number of threads, and stores them in batches.

    A row is **accepted** when its ``put`` has returned. It is held in memory until it is committed,
    is in quarantine, or was found stored already; or until ``close`` hands it back in a
    NotWrittenError. It is lost only if this process dies. No row is stored twice: its key, with the
    id that its source gave it, is unique.

    Rows are written in the order in which they were accepted. A batch is written when it has
    ``batch_rows`` rows, or when its oldest row is half of ``max_age`` old: the other half is for
    writing it, so that a row is committed within ``max_age`` as long as the server keeps up. When
    ``max_queued`` rows are in memory, ``put`` waits.

    A lost connection, a server that is down, full or read-only, a deadlock and a serialization
    failure are tried again until they pass, with one warning for each outage. What cannot pass (a
    market that is on record with another id space, a missing privilege) ends the writer: ``put``
    raises WriterError, and ``close`` hands the rows back.

    Use it in a ``with`` statement, which opens and closes it. It must not be carried over a fork.
    """

    def __init__(
        self,
        conninfo: str,
        *,
        source: str,
        id_space: IdSpace,
        time_unit: TimeUnits | None = None,
        batch_rows: int = 10_000,
        max_age: timedelta = timedelta(milliseconds=250),
        max_queued: int = 50_000,
        close_timeout: timedelta = timedelta(seconds=30),
        open_timeout: timedelta = timedelta(0),
    ) -> None:
        """Make a writer; nothing is connected before ``open``.

        ``conninfo`` is libpq's connection string. ``source`` names the feed in quarantine, where
        ``line`` counts the rows that the writer accepted, from 1. ``id_space`` and ``time_unit``
        are as for ingest_trades; a mapping may gain markets while the writer runs.
        ``close_timeout`` is how long leaving the ``with`` statement waits for the last rows,
        ``open_timeout`` how long ``open`` waits for a server that is not up yet.

        Raises ValueError for a number or a span that is not above 0, or for a negative
        ``open_timeout``.
        """
        for name, value in (("batch_rows", batch_rows), ("max_queued", max_queued)):
            if value < 1:
                raise ValueError(f"{name} is {value}: give 1 or more")
        for name, span in (("max_age", max_age), ("close_timeout", close_timeout)):
            if span <= timedelta(0):
                raise ValueError(f"{name} is {span}: give a span of time above 0")
        if open_timeout < timedelta(0):
            raise ValueError(f"open_timeout is {open_timeout}: give a span of 0 or more")
        self._conninfo = _parsed(conninfo)
        self._open_timeout = open_timeout
        self._notices = Notices(_log)
        self._source = source
        self._id_space = id_space
        self._time_unit = time_unit
        self._close_timeout = close_timeout

        # guards everything below, and is notified when any of it changes
        self._changed = threading.Condition()
        self._batching = Batching(batch_rows, max_age, max_queued)
        self._fault: BaseException | None = None
        self._abandoned = threading.Event()
        self._thread: threading.Thread | None = None
        self._connection: psycopg.Connection[Any] | None = None
        self._on_progress: Callable[[], None] = lambda: None

    def open(self) -> None:
        """Connect and begin to write.

        Raises psycopg.Error when the server cannot be reached within ``open_timeout``, or refuses
        the login: a mistake shows at the start. Raises WriterError when the writer was opened
        before.
        """
        if self._thread is not None:
            raise WriterError("a writer is opened once; make another one")
        self._connection = wait_for_server(self._conninfo, self._source, self._open_timeout)
        self._thread = threading.Thread(target=self._run, name="entasis-writer", daemon=True)
        self._thread.start()

    def put(self, row: Trade | OptionQuote | Unreadable, timeout: timedelta | None = None) -> None:
        """Accept one row; wait for room while ``max_queued`` rows are in memory.

        An Unreadable goes to quarantine.

        Raises TypeError and ValueError when the row is a mistake in the caller's program (a float
        for a price, a time without a zone, a market that ``id_space`` does not name), TimeoutError
        when there was no room within ``timeout``, WriterError when the writer is not open, or no
        longer: the row is not accepted then.
        """
        self._check(row)
        with self._changed:
            if not self._batching.has_room():
                self._wait_for_room(timeout)
            self._accept(row)

    def offer(self, row: Trade | OptionQuote | Unreadable) -> bool:
        """Accept one row if there is room at once; say whether it was. Raises as ``put`` does."""
        self._check(row)
        with self._changed:
            if not self._batching.has_room():
                self._check_open()
                return False
            self._accept(row)
            return True

    def flush(self, timeout: timedelta | None = None) -> None:
        """Wait until every row that was accepted before is committed or in quarantine.

        Raises TimeoutError when that took longer, WriterError when the writer ended before.
        """
        batching = self._batching
        with self._changed:
            wanted = batching.await_all()
            self._changed.notify_all()
            done = self._changed.wait_for(
                lambda: batching.settled >= wanted or self._fault is not None, _seconds(timeout)
            )
            if batching.settled < wanted and self._fault is not None:
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
            self._batching.draining = True
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: not self._batching or self._fault is not None, _seconds(timeout)
            )
            self._abandoned.set()
            rows = self._batching.hand_back()
            last_error = self._batching.last_error
            connection = self._connection
            self._changed.notify_all()
        if rows and connection is not None:
            cut(connection)  # else the thread might wait for the server for ever
        thread.join(timeout=CONNECT_TIMEOUT if rows else None)
        self._on_progress()
        if rows:
            why = self._fault or last_error or f"they were not written within {timeout}"
            raise NotWrittenError(
                f"{len(rows)} accepted rows of {self._source} are not known to be stored: {why}. "
                "They are in this error's rows: keep them, and write them again",
                rows,
            ) from self._fault

    def metrics(self) -> WriterMetrics:
        """Return how the writer is doing now. It may be asked at any time, from any thread."""
        with self._changed:
            return self._batching.metrics(monotonic())

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

    def _check(self, row: Row) -> None:
        """Refuse a mistake in the caller's program before the row is accepted."""
        if isinstance(row, Trade):
            number, symbol, exchange, timestamp, price, volume, side, source_id, excluded = row
            if not (
                type(price) is Decimal
                and type(volume) is Decimal
                and type(number) is int
                and type(symbol) is str
                and type(exchange) is str
                and getattr(timestamp, "tzinfo", None) is UTC
                and (side is None or type(side) is str)
                and (source_id is None or type(source_id) is str)
                and (excluded is None or type(excluded) is str)
            ):
                check_row(row)
            if type(self._id_space) is not str and (symbol, exchange) not in self._id_space:
                raise ValueError(
                    f"id_space does not say how trades of {(symbol, exchange)} are numbered"
                )
        elif isinstance(row, OptionQuote):
            check_row(row)
        elif not isinstance(row, Unreadable):
            raise TypeError(f"a row is a Trade or an OptionQuote, and this is {type(row).__name__}")

    def _accept(self, row: Row) -> None:
        self._check_open()
        if self._batching.accept(row, monotonic()):
            self._changed.notify_all()

    def _check_open(self) -> None:
        if self._fault is not None:
            raise self._ended()
        if self._batching.draining or self._thread is None:
            raise WriterError("the writer is not open: rows are accepted between open and close")

    def _wait_for_room(self, timeout: timedelta | None) -> None:
        batching = self._batching
        if not self._changed.wait_for(
            lambda: batching.has_room() or self._fault or batching.draining, _seconds(timeout)
        ):
            raise TimeoutError(
                f"{batching.max_queued} rows were queued for {timeout}; try it again"
            )

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
                if report.quarantined:
                    self._note_quarantined(report.quarantined)
                with self._changed:
                    if self._abandoned.is_set():
                        return
                    self._batching.settle(batch, report)
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
            self._notices.rest("quarantined", _MORE.format(self._source))
            if self._connection is not None:
                self._connection.close()

    def _next_batch(self) -> list[Row]:
        """Wait until a batch is due; return none when no more will come."""
        with self._changed:
            while (wait := self._batching.due_in(monotonic())) != 0:
                if wait is None and self._batching.draining:
                    return []
                self._changed.wait(wait)
            return self._batching.batch()

    def _write(self, batch: list[Row]) -> IngestReport:
        report = IngestReport()
        first_line = self._batching.settled + 1
        for transaction in transactions(
            batch, first_line, self._source, self._id_space, self._time_unit
        ):
            report += self._persist(transaction)
        return report

    def _persist(
        self, transaction: Callable[[psycopg.Connection[Any]], IngestReport]
    ) -> IngestReport:
        """Repeat one transaction until it is committed, or cannot be."""
        failures = 0
        for pause in pauses():
            if self._abandoned.is_set():
                break
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = connect(self._conninfo)
                report = transaction(self._connection)
            except psycopg.Error as error:
                if not passes(error):
                    raise
                failures += 1
                self._note_failure(error, failures)
            else:
                if failures > 1:
                    _log.warning("%s: writing again, after %d attempts", self._source, failures)
                return report
            self._abandoned.wait(pause)
        raise _AbandonedError

    def _note_failure(self, error: psycopg.Error, failures: int) -> None:
        with self._changed:
            self._batching.failed(error)
            connection = self._connection
            if not keeps_connection(error):
                self._connection = None
                if connection is not None:
                    connection.close()
        if failures == 2:
            _log.warning(
                "%s: cannot write and keeps trying, %d rows queued: %s",
                self._source,
                len(self._batching),
                self._batching.last_error,
            )

    def _note_quarantined(self, number: int) -> None:
        """Say in the log that rows went to quarantine, at first why."""
        self._notices.note(
            "quarantined",
            number,
            lambda: f"{self._source}: rows went to entasis.quarantine: {self._last_refusal()}",
            _MORE.format(self._source),
        )

    def _last_refusal(self) -> str:
        if self._connection is None:
            return "it says why"
        try:
            return last_refusal(self._connection, self._source)
        except psycopg.Error:  # the next batch will see what it is
            return "it says why"


class _AbandonedError(Exception):
    """The writer was closed, and its rows were handed back."""


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()


def _parsed(conninfo: str) -> str:
    """Refuse a connection string that libpq would quote, with its password, in an error."""
    try:
        conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError:
        raise ValueError(
            "the connection string cannot be understood; write postgresql://user@host:port/name"
        ) from None
    return conninfo
