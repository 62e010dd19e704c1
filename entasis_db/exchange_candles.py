"""Candles that exchanges publish: written, loaded from files, and compared with our own."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from entasis_db.cursors import AsyncCursor, Cursor
from entasis_db.direct import is_direct, is_direct_async
from entasis_db.errors import LoadError
from entasis_db.ingest.origins import Origins, refuse_near
from entasis_db.ingest.parts import MAX_REFUSED
from entasis_db.ingest.quarantine import Refusal, quarantine, quarantined, refuse_more
from entasis_db.ingest.retry import retrying
from entasis_db.model import ExchangeCandle
from entasis_db.readers.candles import read_candles
from entasis_db.readers.rows import CandleRow, Rejected

_RELATION = "exchange_candles"
_BATCH_ROWS = 10_000
_STAGE = sql.SQL("SELECT entasis.stage_exchange_candles()")
_COPY = sql.SQL(
    "COPY pg_temp.entasis_staged_exchange_candles (line, symbol, exchange, interval, bucket,"
    " open, high, low, close, volume, quote_volume, trades) FROM STDIN"
)
_UNSTAGE = sql.SQL("DROP TABLE pg_temp.entasis_staged_exchange_candles")
_INSERT = sql.SQL(
    "SELECT inserted, already_there, superseded, quarantined"
    " FROM entasis.insert_staged_exchange_candles(%s, %s)"
)


@dataclass(frozen=True)
class CandleReport:
    """What became of candles that were given; the four add up to their number."""

    inserted: int = 0
    """Candles that were stored."""
    already_there: int = 0
    """Candles that were stored before, with the same values."""
    superseded: int = 0
    """Candles that took the place of others, with other values."""
    quarantined: int = 0
    """Candles in entasis.quarantine, with their reasons: those that cannot be stored, and those
    that are stored with other values."""
    bytes_read: int = field(default=0, compare=False)
    """How far a file was read, as it is stored (compressed); 0 where there is none."""

    def __add__(self, other: "CandleReport") -> "CandleReport":
        """Return the sum of two reports."""
        return CandleReport(
            self.inserted + other.inserted,
            self.already_there + other.already_there,
            self.superseded + other.superseded,
            self.quarantined + other.quarantined,
            max(self.bytes_read, other.bytes_read),
        )


@dataclass(frozen=True)
class ExchangeDifference:
    """A candle of an exchange's own that differs from ours."""

    symbol: str
    """The instrument."""
    exchange: str
    """The venue."""
    interval: str
    """How long it is."""
    bucket: datetime
    """When it begins; UTC."""
    problem: str
    """``missing``, where there is none of ours, or the columns that differ, as in
    entasis.check_exchange_candles()."""


def write_exchange_candles(
    connection: psycopg.Connection[Any],
    candles: Sequence[ExchangeCandle],
    *,
    source: str,
    replace: bool = False,
    lines: Sequence[int] | None = None,
) -> CandleReport:
    """Store candles in one transaction, or inside the caller's.

    Candles that are stored already with the same values change nothing. Those that are stored with
    others go to quarantine, or take their place with ``replace``. ``source`` names the feed or
    file, ``lines`` the line of each in it (by default its position, from 1).

    Raises psycopg's CheckViolation, and stores nothing, where a candle lies below the floor;
    SerializationFailure and DeadlockDetected, after which the caller repeats the transaction.
    """
    numbers = range(1, len(candles) + 1) if lines is None else lines
    with connection.transaction(), Cursor(connection) as cursor:
        cursor.execute(_STAGE)
        with cursor.copy(_COPY) as copy:
            for line, candle in zip(numbers, candles, strict=True):
                copy.write_row((line, *candle))
        counts = cursor.execute(_INSERT, [source, replace]).fetchone()
        if not is_direct(connection):
            cursor.execute(_UNSTAGE)
    assert counts is not None
    return CandleReport(*counts)


async def write_exchange_candles_async(
    connection: psycopg.AsyncConnection[Any],
    candles: Sequence[ExchangeCandle],
    *,
    source: str,
    replace: bool = False,
    lines: Sequence[int] | None = None,
) -> CandleReport:
    """Do what :func:`write_exchange_candles` does, on an asynchronous connection."""
    numbers = range(1, len(candles) + 1) if lines is None else lines
    async with (
        connection.transaction(),
        AsyncCursor(connection) as cursor,
    ):
        await cursor.execute(_STAGE)
        async with cursor.copy(_COPY) as copy:
            for line, candle in zip(numbers, candles, strict=True):
                await copy.write_row((line, *candle))
        await cursor.execute(_INSERT, [source, replace])
        counts = await cursor.fetchone()
        if not await is_direct_async(connection):
            await cursor.execute(_UNSTAGE)
    assert counts is not None
    return CandleReport(*counts)


def load_exchange_candles(
    connection: psycopg.Connection[Any],
    path: Path | str,
    *,
    exchange: str | None = None,
    symbol: str | None = None,
    interval: str | None = None,
    layout: str | None = None,
    replace: bool = False,
    progress: Callable[[CandleReport], None] = lambda _: None,
    max_refused: int | None = MAX_REFUSED,
    new_exchange: bool = False,
) -> CandleReport:
    """Load one file of candles; ``connection`` is in autocommit mode.

    ``exchange``, ``symbol`` and ``interval`` are for files that do not name them. Each batch of
    10,000 rows is a transaction; a load that was stopped is started again, and what is stored
    changes nothing. Lines that cannot be read go to quarantine under the file's base name; at most
    ``max_refused`` of them, for with more the file is wrong as a whole (None: any number). An
    exchange that is not known, with a name that is nearly that of one that is, is taken only with
    ``new_exchange``.

    Raises LoadError when the file cannot be recognised, or read to its end, or more is refused.
    """
    if not connection.autocommit:
        raise ValueError("load over a connection in autocommit mode: each batch is a transaction")
    refuse_near(connection, Path(path).name, exchange, new_exchange=new_exchange)
    reader = read_candles(path, exchange=exchange, symbol=symbol, interval=interval, layout=layout)
    origins = Origins(reader.names, symbol=symbol, exchange=exchange, new_exchange=new_exchange)
    report = CandleReport()
    rows = iter(reader)
    while batch := list(islice(rows, _BATCH_ROWS)):
        told = [row.candle for row in batch if isinstance(row, CandleRow)]
        origins.check(connection, {(one.symbol, one.exchange) for one in told})
        step = partial(_write, connection, batch, reader.source, replace, report, max_refused)
        report += retrying(step)
        report += CandleReport(bytes_read=reader.bytes_read)
        progress(report)
    return report


def _write(
    connection: psycopg.Connection[Any],
    batch: Iterable[CandleRow | Rejected],
    source: str,
    replace: bool,
    before: CandleReport,
    max_refused: int | None,
) -> CandleReport:
    rows = [row for row in batch if isinstance(row, CandleRow)]
    refusals = [Refusal(*row) for row in batch if isinstance(row, Rejected)]
    with connection.transaction():
        refused = quarantine(connection, _RELATION, refusals, source=source)
        try:
            written = write_exchange_candles(
                connection,
                [row.candle for row in rows],
                source=source,
                replace=replace,
                lines=[row.line for row in rows],
            )
        except psycopg.errors.CheckViolation as error:
            raise LoadError(f"{source}: {error.diag.message_primary}") from error
        written += CandleReport(quarantined=refused)
        found = before.quarantined + written.quarantined
        if max_refused is not None and found > max_refused:
            examples = refusals or quarantined(connection, _RELATION, source, limit=1)
            refuse_more(source, found, max_refused, examples, _safe(before))
    return written


def _safe(report: CandleReport) -> str:
    return (
        f"{report.inserted + report.superseded} rows of it are stored now, {report.already_there} "
        f"were before, {report.quarantined} are in quarantine"
    )


def check_exchange_candles(
    connection: psycopg.Connection[Any],
    from_time: datetime | None = None,
    to_time: datetime | None = None,
) -> list[ExchangeDifference]:
    """Return the candles of exchanges in [from_time, to_time) that differ from ours.

    None is no bound. ``connection`` belongs to a member of entasis_admin. Raises psycopg.Error
    when the server refuses, and for a range that is empty or reversed.
    """
    with Cursor(connection) as cursor:
        cursor.execute(
            "SELECT symbol, exchange, candle_interval, bucket, problem"
            " FROM entasis.check_exchange_candles(%s, %s)",
            [from_time or "-infinity", to_time or "infinity"],
        )
        return [
            ExchangeDifference(symbol, exchange, interval, bucket.astimezone(UTC), problem)
            for symbol, exchange, interval, bucket, problem in cursor
        ]
