"""A client that writes trades and keeps what it was told: through the package, as any other."""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count, cycle
from threading import Event, Thread
from typing import Any

import psycopg

from drills.ledger import Ledger
from entasis_db.ingest import ingest_trades
from entasis_db.model import Trade

SOURCE = "recovery drill"
_MICROSECOND = timedelta(microseconds=1)
# a server that is in recovery, shuts down, or is gone: the batch is sent again
_AWAY = ("25006", "57P01", "57P02", "57P03")


def live(real: Sequence[Trade], first_id: int) -> Iterator[Trade]:
    """Yield real trades as if they were made now: their prices, volumes and sides, in their order.

    Ids are numbers from ``first_id`` on, because an exchange gives each once.
    """
    last = datetime.min.replace(tzinfo=UTC)
    for number, trade in zip(count(first_id), cycle(real), strict=False):
        last = max(datetime.now(UTC), last + _MICROSECOND)
        yield trade._replace(id=number, timestamp=last)


class Writer:
    """Writes batch after batch, in a thread of its own, until it is told to stop.

    It does what a collector does when the server goes away: connects again, and sends again what
    was not acknowledged.
    """

    def __init__(
        self,
        url: str,
        ledger: Ledger,
        trades: Iterator[Trade],
        *,
        batch: int = 20,
        pause: float = 0.05,
    ) -> None:
        """``pause`` is the time between batches, in seconds."""
        self._url = url
        self._ledger = ledger
        self._trades = trades
        self._batch = batch
        self._pause = pause
        self._stop = Event()
        self._failure: BaseException | None = None
        self._thread = Thread(target=self._run, name="writer", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the batch that is being sent; raises what ended the writer before.

        A batch that nobody has acknowledged by then stays in doubt.
        """
        self._stop.set()
        self._thread.join(60)
        if self._failure is not None:
            raise self._failure
        if self._thread.is_alive():
            raise TimeoutError("the writer waits for its server, which does not answer")

    def await_written(self, trades: int, since: datetime, patience: float = 60) -> None:
        """Wait until so many trades have been acknowledged since a time.

        Raises TimeoutError after ``patience`` seconds, and what ended the writer.
        """
        until = time.monotonic() + patience
        while self._ledger.since(since) < trades:
            if self._failure is not None:
                raise self._failure
            if time.monotonic() > until:
                raise TimeoutError(f"no {trades} trades were written in {patience:.0f} s")
            time.sleep(0.05)

    def _run(self) -> None:
        waiting: list[Trade] = []
        try:
            while not self._stop.is_set():
                try:
                    with psycopg.connect(self._url, autocommit=True, connect_timeout=5) as session:
                        while not self._stop.is_set():
                            waiting = waiting or [next(self._trades) for _ in range(self._batch)]
                            self._write(session, waiting)
                            waiting = []
                            self._stop.wait(self._pause)
                except psycopg.Error as error:
                    if not _is_away(error):
                        raise
                    self._stop.wait(0.1)
        except BaseException as error:  # noqa: BLE001 - whoever stops the writer is told
            self._failure = error

    def _write(self, session: psycopg.Connection[Any], trades: list[Trade]) -> None:
        write(session, self._ledger, trades)


def write(session: psycopg.Connection[Any], ledger: Ledger, trades: Sequence[Trade]) -> None:
    """Write trades in one transaction, and record what becomes of it."""
    ledger.send(trades)
    report = ingest_trades(session, trades, source=SOURCE, id_space="trade", time_unit="us")
    if report.inserted + report.already_there != len(trades):
        raise RuntimeError(f"the server took only a part of {len(trades)} trades: {report}")
    row = session.execute(
        "SELECT pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0')"
    ).fetchone()
    assert row is not None
    ledger.acknowledge(trades, int(row[0]))


def _is_away(error: psycopg.Error) -> bool:
    return isinstance(error, psycopg.OperationalError) or error.sqlstate in _AWAY
