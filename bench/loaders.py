"""Ways to load trades, each timed in the same manner: making trades and text is not counted."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random
from time import perf_counter
from typing import Any

import psycopg
from psycopg import sql

from bench import data
from bench.measure import MeasurementError, only_row
from bench.progress import Progress
from entasis_db.ingest import IngestReport, ingest_trades
from entasis_db.model import Trade

SOURCE = "benchmark"
LIVELY_TRADES_AN_HOUR = 125_000
"""Of all markets together: some 260 trades a minute each. Binance's largest have more."""
LIVELY_TRADES_A_MINUTE = LIVELY_TRADES_AN_HOUR // 60 // len(data.MARKETS)
THIN_TRADES = 1_000_000
"""Over all the days, these come to some 4.5 trades in a 1-minute candle."""

Connection = psycopg.Connection[Any]
Trades = Callable[[], Iterator[Trade]]
"""Makes the same trades at every call."""
Batches = Callable[[], Iterable[list[Trade]]]
Payloads = Callable[[], Iterable[bytes]]

MARKET_DATA = sql.Identifier("entasis", "market_data")
DOCUMENT_MARKET_DATA = sql.Identifier("public", "market_data")
"""In the database of Templates.document."""


# ------------------------------------------------------------------ trades and batches of them


def stored_trades(size: int, next_batch: int) -> Trades:
    """Make ``size`` trades, spread over all the days; ``next_batch`` more would come after them."""
    return lambda: islice(data.trades(size + next_batch), size)


def lively_trades(size: int) -> Trades:
    """Make as many trades of the same markets in far less time."""
    return lambda: data.trades(size, hours=max(1, size // LIVELY_TRADES_AN_HOUR))


def thin_trades(size: int) -> Trades:
    """Make trades that have a 1-minute candle nearly to themselves, at every size."""
    hours = data.DAYS * 24 * size // THIN_TRADES
    return lambda: data.trades(size, hours=min(data.DAYS * 24, max(1, hours)))


def two_hours(number: int) -> list[Trade]:
    """Return trades of two hours, for lines whose size is not that of the run."""
    return list(data.trades(number, hours=2))


def in_batches(trades: Trades, rows: int) -> Batches:
    """Make the same batches at every call, one at a time: all of them would fill the memory."""
    return lambda: data.batches(trades(), rows)


# ------------------------------------------------------------------ ways to load them


@dataclass(frozen=True)
class Load:
    """A load that can be repeated on one database after another."""

    size: int
    """How many trades it has."""
    batches: Batches
    progress: Progress

    def through_helper(self, connection: Connection) -> float:
        """Return the seconds in ingest_trades for clean batches."""
        seconds = self._ingest(connection, lambda n: IngestReport(inserted=n))
        if _was_staged(connection):
            raise MeasurementError("a clean batch went through staging")
        return seconds

    def again(self, connection: Connection) -> float:
        """Return the seconds in ingest_trades when every trade is stored already."""
        return self._ingest(connection, lambda n: IngestReport(already_there=n))

    def through_staging(self, connection: Connection) -> float:
        """Return the seconds in ingest_trades when each batch repeats a trade of the one before."""
        random = Random(self.size)
        market = data.BUSY_MARKET
        repeated = Trade(
            symbol=market.symbol,
            exchange=market.exchange,
            timestamp=data.START,
            id=1,
            price=market.tick,
            volume=market.lot,
        )
        ingest_trades(connection, [repeated], source=SOURCE, id_space=data.ID_SPACE)
        seconds, done = 0.0, 0
        for batch in self.batches():
            given = [*batch, repeated]
            began = perf_counter()
            report = ingest_trades(connection, given, source=SOURCE, id_space=data.ID_SPACE)
            seconds += perf_counter() - began
            if report != IngestReport(inserted=len(batch), already_there=1):
                raise MeasurementError(f"{len(batch)} new trades and a stored one came to {report}")
            repeated = random.choice(batch)
            done += len(batch)
            self.progress.part(done, self.size)
        if not _was_staged(connection):
            raise MeasurementError("no batch went through staging")
        return seconds

    def by_copy(
        self,
        connection: Connection,
        table: sql.Identifier = MARKET_DATA,
        columns: str = data.COLUMNS,
        payloads: Payloads | None = None,
    ) -> float:
        """Return the seconds of plain COPY, one transaction a batch.

        ``payloads`` are the batches as text, where they lie in memory already.
        """
        copy_in = sql.SQL("COPY {} ({}) FROM STDIN").format(table, sql.SQL(columns))
        seconds, done = 0.0, 0
        texts = payloads() if payloads else (data.payload(b, columns) for b in self.batches())
        for text in texts:
            began = perf_counter()
            with connection.transaction(), connection.cursor() as cursor:
                with cursor.copy(copy_in) as copy:
                    copy.write(text)
                rows = cursor.rowcount
            seconds += perf_counter() - began
            done += rows
            self.progress.part(done, self.size)
        if done != self.size:
            raise MeasurementError(f"{done} of {self.size} trades were copied")
        return seconds

    def _ingest(self, connection: Connection, expected: Callable[[int], IngestReport]) -> float:
        seconds, done = 0.0, 0
        for batch in self.batches():
            began = perf_counter()
            report = ingest_trades(connection, batch, source=SOURCE, id_space=data.ID_SPACE)
            seconds += perf_counter() - began
            if report != expected(len(batch)):
                raise MeasurementError(f"a batch of {len(batch)} trades came to {report}")
            done += len(batch)
            self.progress.part(done, self.size)
        return seconds


def _was_staged(connection: Connection) -> bool:
    """Say whether this session has ever taken the slow way."""
    found = only_row(connection, "SELECT to_regclass('pg_temp.entasis_staged_trades') IS NOT NULL")
    return bool(found[0])
