"""Loading files of trades and option quotes: in batches, each its own transaction, with progress.

A load may be stopped at any moment and started again: what is stored already changes nothing.
"""

import os
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import psycopg
from psycopg.rows import tuple_row

from entasis_db.errors import LoadError
from entasis_db.ingest import (
    IngestReport,
    Refusal,
    ingest_options,
    ingest_trades,
    quarantine,
    retrying,
)
from entasis_db.model import OptionQuote, Trade
from entasis_db.readers import (
    OptionReader,
    OptionRow,
    Rejected,
    TradeReader,
    TradeRow,
    read_options,
    read_trades,
)

BATCH_ROWS = 50_000
"""Rows of one transaction. Writers of one market wait for each other until they commit."""

_READ_AHEAD = 2  # batches in memory beside the one that is being written


@dataclass(frozen=True)
class Loaded:
    """What became of a file, so far or in the end."""

    source: str
    layout: str
    report: IngestReport = field(default_factory=IngestReport)
    bytes_read: int = 0
    total_bytes: int | None = None
    """None when it is not known, as for a pipe."""
    truncated_nanoseconds: int = 0
    """Timestamps whose digits below the microsecond were cut off, never rounded up."""
    past_keep: int = 0
    """Rows stored, now or before, although they are past their keep period: maintenance drops the
    months that wholly are. Where a batch has rows in quarantine too, at most so many."""


Progress = Callable[[Loaded], None]
Row = TypeVar("Row", Trade, OptionQuote)


def load_trades(
    connection: psycopg.Connection[Any],
    path: Path | str,
    *,
    exchange: str | None = None,
    symbol: str | None = None,
    layout: str | None = None,
    batch_rows: int = BATCH_ROWS,
    progress: Progress = lambda _: None,
    id_space: str | None = None,
    decimals: int | None = None,
) -> Loaded:
    """Load one file of trades; ``connection`` is in autocommit mode.

    ``exchange`` and ``symbol`` are for layouts that do not name them, ``layout`` for files that are
    not to be recognised by their look. ``id_space`` says how the trades of a Parquet or Arrow file
    are numbered, and ``decimals`` is for floats in one, as in ingest_arrow. Rows that cannot be
    read or stored go to quarantine under the file's base name and their line.

    Raises LoadError when the file cannot be read to its end, after everything before the fault was
    loaded, and IdSpaceError when a market is on record with another kind of trade ids.
    """
    if _is_arrow(path):
        return _load_arrow(
            connection,
            Path(path),
            progress,
            exchange=exchange,
            symbol=symbol,
            id_space=id_space,
            decimals=decimals,
            batch_rows=batch_rows,
        )
    reader = read_trades(path, exchange=exchange, symbol=symbol, layout=layout)

    def write(batch: _Batch[Trade], source: str) -> IngestReport:
        return ingest_trades(
            connection, batch.rows, source=source, id_space=batch.id_spaces, lines=batch.lines
        )

    return _load(connection, reader, "market_data", write, batch_rows, progress)


def load_options(
    connection: psycopg.Connection[Any],
    path: Path | str,
    *,
    layout: str | None = None,
    batch_rows: int = BATCH_ROWS,
    progress: Progress = lambda _: None,
) -> Loaded:
    """Load one file of option quotes, as :func:`load_trades` does trades."""
    reader = read_options(path, layout=layout)

    def write(batch: _Batch[OptionQuote], source: str) -> IngestReport:
        return ingest_options(connection, batch.rows, source=source, lines=batch.lines)

    return _load(connection, reader, "option_data", write, batch_rows, progress)


def _is_arrow(path: Path | str) -> bool:
    """Say whether a file is of Parquet or Arrow, by its first bytes."""
    if not Path(path).is_file():
        return False  # a pipe, whose first bytes belong to its reader, or nothing
    with Path(path).open("rb") as file:
        magic = file.read(6)
    return magic.startswith(b"PAR1") or magic == b"ARROW1"


def _load_arrow(
    connection: psycopg.Connection[Any], path: Path, progress: Progress, **options: Any
) -> Loaded:
    try:
        from entasis_db.arrow import ArrowReport, load_arrow
    except ImportError:
        raise LoadError(
            f"{path.name}: Parquet and Arrow need pyarrow: pip install 'entasis-db[arrow]'"
        ) from None
    if options["id_space"] is None:
        raise LoadError(
            f"{path.name}: say how its trades are numbered with --id-space: trade for the "
            "exchange's trade ids, aggtrade for Binance's aggregated trades"
        )
    size = path.stat().st_size

    def loaded(report: ArrowReport, bytes_read: int = 0) -> Loaded:
        return Loaded(
            path.name,
            "arrow",
            IngestReport(report.inserted, report.already_there, report.quarantined),
            bytes_read,
            size,
            report.truncated_nanoseconds,
        )

    report = load_arrow(connection, path, progress=lambda r: progress(loaded(r)), **options)
    return loaded(report, size)


@dataclass
class _Batch(Generic[Row]):
    rows: list[Row] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    fault: LoadError | None = None
    """Why the file ends with this batch, if not because it is over."""
    # How far the reader was at the end of the batch. It runs ahead, in a thread of its own, so
    # nobody else may ask it.
    id_spaces: dict[tuple[str, str], str] = field(default_factory=dict)
    """By symbol and exchange."""
    bytes_read: int = 0
    truncated_nanoseconds: int = 0


def _load(
    connection: psycopg.Connection[Any],
    reader: TradeReader | OptionReader,
    relation: str,
    write: Callable[["_Batch[Row]", str], IngestReport],
    batch_rows: int,
    progress: Progress,
) -> Loaded:
    if not connection.autocommit:
        raise ValueError("load over a connection in autocommit mode: each batch is a transaction")
    if batch_rows < 1:
        raise ValueError(f"batch_rows is {batch_rows}: give 1 or more")
    # a file's name may be bytes that are not UTF-8, which is all that the database takes
    source = os.fsencode(reader.source).decode("utf-8", "backslashreplace")
    keep_from = _keep_from(connection, relation)
    loaded = Loaded(source, reader.layout, total_bytes=reader.total_bytes)
    batches: Iterator[_Batch[Row]] = _batches(reader, batch_rows)
    # A pipe is read in this thread: nothing could stop another one that waits for it to go on.
    ahead = nullcontext(batches) if reader.total_bytes is None else _read_ahead(batches)
    with ahead as batches:
        for batch in batches:
            quarantined = quarantine(connection, relation, batch.refusals, source=source)
            written = retrying(partial(write, batch, source))
            past_keep = 0
            if keep_from is not None:
                past_keep = min(
                    sum(row.timestamp < keep_from for row in batch.rows),
                    written.inserted + written.already_there,
                )
            loaded = replace(
                loaded,
                report=loaded.report + written + IngestReport(quarantined=quarantined),
                bytes_read=batch.bytes_read,
                truncated_nanoseconds=batch.truncated_nanoseconds,
                past_keep=loaded.past_keep + past_keep,
            )
            progress(loaded)
            if batch.fault is not None:
                report = loaded.report
                raise LoadError(
                    f"{batch.fault} ({report.inserted} rows of it are stored now, "
                    f"{report.already_there} were before, {report.quarantined} are in quarantine)"
                ) from batch.fault
    return loaded


def _keep_from(connection: psycopg.Connection[Any], relation: str) -> datetime | None:
    with psycopg.Cursor(connection, row_factory=tuple_row) as cursor:
        row = cursor.execute(
            "SELECT entasis.keep_from(keep) FROM entasis.keep_periods WHERE relation = %s",
            [relation],
        ).fetchone()
    return row[0] if row is not None else None


def _batches(reader: TradeReader | OptionReader, batch_rows: int) -> Iterator[_Batch[Any]]:
    batch: _Batch[Any] = _Batch()

    def finished() -> _Batch[Any]:
        batch.bytes_read = reader.bytes_read
        batch.truncated_nanoseconds = reader.truncated_nanoseconds
        if isinstance(reader, TradeReader):
            batch.id_spaces = {(s, e): space for (e, s), space in reader.id_spaces.items()}
        return batch

    try:
        for item in reader:
            match item:
                case Rejected(line, code, reason, payload):
                    batch.refusals.append(Refusal(line, code, reason, payload))
                case TradeRow(line, trade):
                    batch.rows.append(trade)
                    batch.lines.append(line)
                case OptionRow(line, quote):
                    batch.rows.append(quote)
                    batch.lines.append(line)
            if len(batch.rows) + len(batch.refusals) >= batch_rows:
                yield finished()
                batch = _Batch()
    except LoadError as fault:
        batch.fault = fault
    yield finished()


T = TypeVar("T")


@contextmanager
def _read_ahead(items: Iterator[T]) -> Iterator[Iterator[T]]:
    """Read in a thread: while the server works on one batch, the next one is being parsed."""
    ready: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(_READ_AHEAD)
    stopped = threading.Event()

    def put(entry: tuple[T | None, BaseException | None]) -> None:
        while not stopped.is_set():
            try:
                ready.put(entry, timeout=0.1)
            except queue.Full:
                continue
            return

    def read() -> None:
        try:
            for item in items:
                put((item, None))
                if stopped.is_set():
                    return
            put((None, None))
        except BaseException as fault:  # noqa: BLE001 - it is raised in the caller's thread
            put((None, fault))

    def received() -> Iterator[T]:
        while True:
            item, fault = ready.get()
            if fault is not None:
                raise fault
            if item is None:
                return
            yield item

    thread = threading.Thread(target=read, name="entasis-read-ahead", daemon=True)
    thread.start()
    try:
        yield received()
    finally:
        stopped.set()
        thread.join()
