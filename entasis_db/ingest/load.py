"""Loading files of trades and option quotes: in batches, each its own transaction, with progress.

A load may be stopped at any moment and started again: what is stored already changes nothing.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import psycopg
from psycopg.rows import tuple_row

from entasis_db.errors import LoadError
from entasis_db.ingest.batch import Batch, RowBatch
from entasis_db.ingest.id_spaces import IdSpace, TimeUnits
from entasis_db.ingest.quarantine import Refusal
from entasis_db.ingest.read_ahead import read_ahead
from entasis_db.ingest.report import IngestReport
from entasis_db.ingest.retry import retrying
from entasis_db.ingest.targets import OPTIONS, TRADES, Row, Target
from entasis_db.ingest.write import write_batch
from entasis_db.model import TimeUnit
from entasis_db.readers import (
    OptionReader,
    OptionRow,
    Rejected,
    TradeReader,
    TradeRow,
    read_options,
    read_trades,
)
from entasis_db.readers.files import arrow_kind

if TYPE_CHECKING:
    from entasis_db.readers.arrow import ArrowReader

BATCH_ROWS = 50_000
"""Rows of one transaction. Writers of one market wait for each other until they commit."""


@dataclass(frozen=True)
class Loaded:
    """What became of a file, so far or in the end."""

    source: str
    """The file's base name."""
    layout: str
    """What it was recognised as."""
    report: IngestReport = field(default_factory=IngestReport)
    """What became of its rows."""
    bytes_read: int = 0
    """How far the file was read, as it is stored (compressed)."""
    total_bytes: int | None = None
    """None when it is not known, as for a pipe."""
    truncated_nanoseconds: int = 0
    """Timestamps whose digits below the microsecond were cut off, never rounded up."""
    past_keep: int = 0
    """Rows stored, now or before, although they are past their keep period: maintenance drops the
    months that wholly are. Where a batch has rows in quarantine too, at most so many."""


Progress = Callable[[Loaded], None]


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
    time_unit: TimeUnit | None = None,
    sequence: Literal["exchange", "position"] | None = None,
    decimals: int | None = None,
) -> Loaded:
    """Load one file of trades; ``connection`` is in autocommit mode.

    ``exchange`` and ``symbol`` are for layouts that do not name them, ``layout`` for files that are
    not to be recognised by their look. ``id_space`` says how the trades of a Parquet or Arrow file
    are numbered, and ``decimals`` is for floats in one, as in ingest_arrow. ``time_unit`` is the
    unit (s, ms, us) in which the trades' source states times, where the layout does not say,
    ``sequence`` whether a column of that name is the exchange's own, which then is the id where
    there is no other, or the row's position: by default, it is that if it counts the rows. Rows
    that cannot be read or stored go to quarantine under the file's base name and their line.

    Raises LoadError when the file cannot be read to its end, after everything before the fault was
    loaded, and IdSpaceError when a market is on record with another kind of trade ids.
    """
    reader: TradeReader | ArrowReader
    # the first bytes of a pipe belong to its reader
    if Path(path).is_file() and arrow_kind(path):
        reader = _arrow_reader(path, exchange, symbol, decimals)
        if id_space is None:
            raise LoadError(
                f"{reader.source}: say how its trades are numbered with --id-space: trade for the "
                "exchange's trade ids, aggtrade for Binance's aggregated trades"
            )
        parts = _arrow_parts(reader, batch_rows, id_space, time_unit)
    else:
        reader = read_trades(
            path, exchange=exchange, symbol=symbol, layout=layout, sequence=sequence
        )
        parts = _parts(reader, TRADES, batch_rows, time_unit)
    return _load(connection, reader, "market_data", parts, batch_rows, progress)


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
    parts = _parts(reader, OPTIONS, batch_rows)
    return _load(connection, reader, "option_data", parts, batch_rows, progress)


def _arrow_reader(
    path: Path | str, exchange: str | None, symbol: str | None, decimals: int | None
) -> "ArrowReader":
    try:
        from entasis_db.readers.arrow import read_arrow
    except ImportError:
        raise LoadError(
            f"{Path(path).name}: Parquet and Arrow need pyarrow: pip install 'entasis-db[arrow]'"
        ) from None
    return read_arrow(path, exchange=exchange, symbol=symbol, decimals=decimals)


@dataclass(frozen=True)
class _Part:
    """A batch, and how far the reader was at its end.

    The reader runs ahead, in a thread of its own, so nobody else may ask it.
    """

    batch: Batch
    id_space: IdSpace | None
    time_unit: TimeUnits | None
    bytes_read: int
    truncated_nanoseconds: int
    fault: LoadError | None = None
    """Why the file ends with this batch, if not because it is over."""


def _parts(
    reader: TradeReader | OptionReader,
    target: Target[Row],
    batch_rows: int,
    time_unit: TimeUnit | None = None,
) -> Iterator[_Part]:
    """Cut the rows of a text file into batches."""
    rows: list[Any] = []
    lines: list[int] = []
    refusals: list[Refusal] = []

    def part(fault: LoadError | None = None) -> _Part:
        id_space, units = None, None
        if isinstance(reader, TradeReader):
            id_space = {(s, e): space for (e, s), space in reader.id_spaces.items()}
            units = time_unit or {(s, e): unit for (e, s), unit in reader.time_units.items()}
        return _Part(
            RowBatch(target, rows, lines, refusals),
            id_space,
            units,
            reader.bytes_read,
            reader.truncated_nanoseconds,
            fault,
        )

    fault = None
    try:
        for item in reader:
            match item:
                case Rejected(line, code, reason, payload):
                    refusals.append(Refusal(line, code, reason, payload))
                case TradeRow(line, row) | OptionRow(line, row):
                    rows.append(row)
                    lines.append(line)
            if len(rows) + len(refusals) >= batch_rows:
                yield part()
                rows, lines, refusals = [], [], []
    except LoadError as error:
        fault = error
    yield part(fault)


def _arrow_parts(
    reader: "ArrowReader", batch_rows: int, id_space: str, time_unit: TimeUnit | None
) -> Iterator[_Part]:
    """Take the tables of a Parquet or Arrow file as batches."""
    from entasis_db.ingest.arrow_batch import ArrowBatch

    fault = None
    try:
        for table in reader.tables(batch_rows):
            yield _Part(
                ArrowBatch(table, reader.time_unit),
                id_space,
                time_unit,
                reader.bytes_read,
                reader.truncated_nanoseconds,
            )
    except LoadError as error:
        fault = error
    rest: RowBatch[Any] = RowBatch(TRADES, [])
    yield _Part(rest, id_space, None, reader.bytes_read, reader.truncated_nanoseconds, fault)


def _load(
    connection: psycopg.Connection[Any],
    reader: "TradeReader | OptionReader | ArrowReader",
    relation: str,
    parts: Iterator[_Part],
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
    # A pipe is read in this thread: nothing could stop another one that waits for it to go on.
    ahead = nullcontext(parts) if reader.total_bytes is None else read_ahead(parts)
    with ahead as parts:
        for part in parts:
            step = partial(
                write_batch, connection, part.batch, source, part.id_space, part.time_unit
            )
            written = retrying(step)
            past_keep = 0
            if keep_from is not None:
                past_keep = min(
                    part.batch.count_before(keep_from), written.inserted + written.already_there
                )
            loaded = replace(
                loaded,
                report=loaded.report + written,
                bytes_read=part.bytes_read,
                truncated_nanoseconds=part.truncated_nanoseconds,
                past_keep=loaded.past_keep + past_keep,
            )
            progress(loaded)
            if part.fault is not None:
                report = loaded.report
                raise LoadError(
                    f"{part.fault} ({report.inserted} rows of it are stored now, "
                    f"{report.already_there} were before, {report.quarantined} are in quarantine)"
                ) from part.fault
    return loaded


def _keep_from(connection: psycopg.Connection[Any], relation: str) -> datetime | None:
    with psycopg.Cursor(connection, row_factory=tuple_row) as cursor:
        row = cursor.execute(
            "SELECT entasis.keep_from(keep) FROM entasis.keep_periods WHERE relation = %s",
            [relation],
        ).fetchone()
    return row[0] if row is not None else None
