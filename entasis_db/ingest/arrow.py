"""Writing trades and quotes from Arrow data: tables, and data frames of Polars and pandas."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, tzinfo
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.pq import TransactionStatus

from entasis_db.ingest.batch import Batch, RowBatch
from entasis_db.ingest.id_spaces import IdSpace, TimeUnits
from entasis_db.ingest.quarantine import Refusal
from entasis_db.ingest.report import IngestReport
from entasis_db.ingest.retry import retrying, retrying_async
from entasis_db.ingest.targets import OPTIONS
from entasis_db.ingest.write import write_batch, write_batch_async

if TYPE_CHECKING:
    from entasis_db.readers.arrow import ArrowReader
    from entasis_db.readers.arrow_options import ArrowOptionReader

BATCH_ROWS = 50_000
"""Rows of one transaction."""


@dataclass(frozen=True)
class ArrowReport(IngestReport):
    """What became of the rows, and of their times."""

    truncated_nanoseconds: int = 0
    """Timestamps whose digits below the microsecond were cut off, never rounded up."""


def ingest_arrow(
    connection: psycopg.Connection[Any],
    trades: Any,
    *,
    source: str,
    id_space: IdSpace,
    time_unit: TimeUnits | None = None,
    symbol: str | None = None,
    exchange: str | None = None,
    decimals: int | None = None,
    batch_rows: int = BATCH_ROWS,
    progress: Callable[[ArrowReport], None] = lambda _: None,
) -> ArrowReport:
    """Write trades in batches, each a transaction of its own, or all inside the caller's.

    ``trades`` is a pyarrow Table, RecordBatch or RecordBatchReader, or whatever has
    ``__arrow_c_stream__``: a data frame of Polars, or of pandas from 2.2 on. Its columns are id,
    symbol, exchange, timestamp, price, volume and optionally side, source_id and excluded, in any
    order; others are ignored. An id may be text where ``id_space`` is ``digest``: it is digested,
    and kept as source_id. ``symbol`` and ``exchange`` stand for columns that are missing.
    ``source`` and ``id_space`` are as for ingest_trades, and so is ``time_unit``: by default it is
    that of the column's type; lines in quarantine count rows from 1.

    Timestamps must have a time zone; digits below the microsecond are cut off. Price and volume are
    decimals or integers. Floats are not exact and are refused, unless ``decimals`` says how many
    decimals they were written with: then each is taken for the decimal of so many places that reads
    back as the same float, and refused where there is none. A row with a null in another column
    than these three goes to quarantine.

    It needs the extra ``entasis-db[arrow]``. Raises LoadError for columns that are missing or of a
    type that is not exact, before anything is written; IdSpaceError and psycopg's errors as
    ingest_trades does.
    """
    batches, reader = _trades(
        trades,
        source=source,
        id_space=id_space,
        symbol=symbol,
        exchange=exchange,
        decimals=decimals,
        batch_rows=batch_rows,
    )
    return _write(
        connection,
        batches,
        reader,
        lambda batch: write_batch(connection, batch, source, id_space, time_unit),
        progress,
    )


async def ingest_arrow_async(
    connection: psycopg.AsyncConnection[Any],
    trades: Any,
    *,
    source: str,
    id_space: IdSpace,
    time_unit: TimeUnits | None = None,
    symbol: str | None = None,
    exchange: str | None = None,
    decimals: int | None = None,
    batch_rows: int = BATCH_ROWS,
    progress: Callable[[ArrowReport], None] = lambda _: None,
) -> ArrowReport:
    """Do what :func:`ingest_arrow` does, on an asynchronous connection."""
    batches, reader = _trades(
        trades,
        source=source,
        id_space=id_space,
        symbol=symbol,
        exchange=exchange,
        decimals=decimals,
        batch_rows=batch_rows,
    )
    return await _write_async(
        connection,
        batches,
        reader,
        lambda batch: write_batch_async(connection, batch, source, id_space, time_unit),
        progress,
    )


def ingest_arrow_options(
    connection: psycopg.Connection[Any],
    quotes: Any,
    *,
    source: str,
    underlying: str | None = None,
    zone: tzinfo = UTC,
    decimals: int | None = None,
    batch_rows: int = BATCH_ROWS,
    progress: Callable[[ArrowReport], None] = lambda _: None,
) -> ArrowReport:
    """Write option quotes in batches, each a transaction of its own, or all inside the caller's.

    ``quotes`` is Arrow data, as for :func:`ingest_arrow`. Its columns are underlying, strike_price,
    expiry_date, option_type and timestamp, and any others of OptionQuote, in any order; more are
    ignored. ``underlying`` stands for a column that is missing. What is stored, refused, rounded,
    NULL or another quote is as for :func:`ingest_options`; lines in quarantine count rows from 1.

    Times must have a time zone; digits below the microsecond are cut off. An expiry may be a date:
    it is the end of that day in ``zone``, the venue's. Volatilities and greeks may be floats: each
    is taken for the shortest decimal that reads back as the same float. Strikes, prices and open
    interest are decimals or integers, or floats with ``decimals``, as in ingest_arrow; NaN among
    these is NULL. A row without one of the first five goes to quarantine.

    It needs the extra ``entasis-db[arrow]``. Raises LoadError for columns that are missing or of a
    type that is not exact, before anything is written, and psycopg's errors as ingest_options does.
    """
    batches, reader = _quotes(
        quotes,
        source=source,
        underlying=underlying,
        zone=zone,
        decimals=decimals,
        batch_rows=batch_rows,
    )
    return _write(
        connection,
        batches,
        reader,
        lambda batch: write_batch(connection, batch, source),
        progress,
    )


async def ingest_arrow_options_async(
    connection: psycopg.AsyncConnection[Any],
    quotes: Any,
    *,
    source: str,
    underlying: str | None = None,
    zone: tzinfo = UTC,
    decimals: int | None = None,
    batch_rows: int = BATCH_ROWS,
    progress: Callable[[ArrowReport], None] = lambda _: None,
) -> ArrowReport:
    """Do what :func:`ingest_arrow_options` does, on an asynchronous connection."""
    batches, reader = _quotes(
        quotes,
        source=source,
        underlying=underlying,
        zone=zone,
        decimals=decimals,
        batch_rows=batch_rows,
    )
    return await _write_async(
        connection,
        batches,
        reader,
        lambda batch: write_batch_async(connection, batch, source),
        progress,
    )


def _trades(
    trades: Any, *, id_space: IdSpace, batch_rows: int, **how: Any
) -> "tuple[Iterator[Batch], ArrowReader]":
    from entasis_db.ingest.arrow_batch import ArrowBatch, check_text_ids
    from entasis_db.readers.arrow import ArrowReader

    _check(batch_rows)
    reader = ArrowReader(trades, **how)
    check_text_ids(reader, id_space)
    return (ArrowBatch(t, reader.time_unit) for t in reader.tables(batch_rows)), reader


def _quotes(
    quotes: Any, *, batch_rows: int, **how: Any
) -> "tuple[Iterator[Batch], ArrowOptionReader]":
    from entasis_db.readers.arrow_options import ArrowOptionReader

    _check(batch_rows)
    reader = ArrowOptionReader(quotes, **how)
    return quote_batches(reader, batch_rows), reader


def quote_batches(reader: "ArrowOptionReader", batch_rows: int) -> Iterator[Batch]:
    """Yield what a reader gives as batches."""
    for rows, lines, refused in reader.quotes(batch_rows):
        yield RowBatch(OPTIONS, rows, lines, [Refusal(*fault) for fault in refused])


def _check(batch_rows: int) -> None:
    if batch_rows < 1:
        raise ValueError(f"batch_rows is {batch_rows}: give 1 or more")


def _write(
    connection: psycopg.Connection[Any],
    batches: Iterator[Batch],
    reader: "ArrowReader | ArrowOptionReader",
    write: Callable[[Batch], IngestReport],
    progress: Callable[[ArrowReport], None],
) -> ArrowReport:
    total = ArrowReport()
    for batch in batches:
        step = partial(write, batch)
        own = connection.info.transaction_status == TransactionStatus.IDLE
        total = _sum(total, retrying(step) if own else step(), reader)
        progress(total)
    return total


async def _write_async(
    connection: psycopg.AsyncConnection[Any],
    batches: Iterator[Batch],
    reader: "ArrowReader | ArrowOptionReader",
    write: Callable[[Batch], Awaitable[IngestReport]],
    progress: Callable[[ArrowReport], None],
) -> ArrowReport:
    total = ArrowReport()
    for batch in batches:
        step = partial(write, batch)
        own = connection.info.transaction_status == TransactionStatus.IDLE
        total = _sum(total, await (retrying_async(step) if own else step()), reader)
        progress(total)
    return total


def _sum(
    total: ArrowReport, report: IngestReport, reader: "ArrowReader | ArrowOptionReader"
) -> ArrowReport:
    counts = asdict(total + report)
    return ArrowReport(**counts | {"truncated_nanoseconds": reader.truncated_nanoseconds})
