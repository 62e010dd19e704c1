"""Files as batches: what a reader gives, cut into pieces of a transaction's size."""

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Union

import psycopg

from entasis_db.errors import LoadError
from entasis_db.ingest.batch import Batch, RowBatch
from entasis_db.ingest.contract_sizes import tell_contract_size
from entasis_db.ingest.digests import tell_digests
from entasis_db.ingest.id_spaces import IdSpace, TimeUnits
from entasis_db.ingest.moments import Moments
from entasis_db.ingest.quarantine import Refusal
from entasis_db.ingest.read_ahead import read_ahead
from entasis_db.ingest.targets import OPTIONS, TRADES, Row, Target
from entasis_db.model import TimeUnit
from entasis_db.readers import (
    Edge,
    OptionReader,
    OptionRow,
    Rejected,
    TradeReader,
    TradeRow,
    read_options,
    read_trades,
)
from entasis_db.readers.columns import FileUnit
from entasis_db.readers.files import arrow_kind, size_of

if TYPE_CHECKING:
    from entasis_db.readers.arrow import ArrowReader
    from entasis_db.readers.arrow_options import ArrowOptionReader

BATCH_ROWS = 50_000
"""Rows of one transaction. Writers of one market wait for each other until they commit."""

MAX_REFUSED = 1_000
"""Rows of a file that may be refused before the whole file is taken for wrong."""


def open_trades(
    path: Path | str,
    *,
    exchange: str | None,
    symbol: str | None,
    layout: str | None,
    batch_rows: int,
    id_space: str | None,
    time_unit: FileUnit | None,
    sequence: Literal["exchange", "position"] | None,
    decimals: int | None,
    columns: str | None = None,
) -> "tuple[TradeReader | ArrowReader, Iterator[Part]]":
    """Open a file of trades, and give its reader and its batches; load_trades says what each is.

    Raises LoadError for a file that cannot be opened or recognised.
    """
    # of columns that are given it says how they are read, and the times that are read tell the rest
    stated: TimeUnit | None = None
    if columns is None:
        if time_unit == "ns":
            raise LoadError("nanoseconds are a unit of columns that are given: pass --columns")
        stated = time_unit
    if _is_arrow(path):
        if columns is not None:
            raise LoadError(f"{Path(path).name}: a file of Parquet or Arrow names its columns")
        arrow = _arrow_reader(path, exchange, symbol, decimals)
        if id_space is None:
            raise LoadError(
                f"{arrow.source}: say how its trades are numbered with --id-space: trade for the "
                "exchange's trade ids, aggtrade for Binance's aggregated trades"
            )
        from entasis_db.ingest.arrow_batch import check_text_ids

        check_text_ids(arrow, id_space)
        return arrow, _arrow_parts(arrow, batch_rows, id_space, stated)
    text = read_trades(
        path,
        exchange=exchange,
        symbol=symbol,
        layout=layout,
        sequence=sequence,
        columns=columns,
        time_unit=None if columns is None else time_unit,
    )
    return text, text_parts(text, TRADES, batch_rows, stated)


def open_options(
    path: Path | str, *, layout: str | None, zone: tzinfo, batch_rows: int, decimals: int | None
) -> "tuple[OptionReader | ArrowOptionReader, Iterator[Part]]":
    """Open a file of quotes, and give its reader and its batches; load_options says what each is.

    Raises LoadError for a file that cannot be opened or recognised.
    """
    if _is_arrow(path):
        try:
            from entasis_db.readers.arrow_options import read_arrow_options
        except ImportError:
            raise LoadError(_no_arrow(path)) from None
        arrow = read_arrow_options(path, zone=zone, decimals=decimals)
        return arrow, _option_parts(arrow, batch_rows)
    text = read_options(path, layout=layout, zone=zone)
    return text, text_parts(text, OPTIONS, batch_rows)


def _is_arrow(path: Path | str) -> bool:
    # the first bytes of a pipe belong to its reader
    return str(path) != "-" and size_of(path) is not None and arrow_kind(path) is not None


AnyReader = Union["TradeReader", "OptionReader", "ArrowReader", "ArrowOptionReader"]


def tell_reader(connection: psycopg.Connection[Any], reader: AnyReader) -> None:
    """Give a reader what is on record of the markets that it may meet."""
    tell_contract_size(connection, reader)
    tell_digests(connection, reader)


def source_name(reader: AnyReader) -> str:
    """Return a file's name as the database takes it: the bytes of a name need not be UTF-8."""
    return os.fsencode(reader.source).decode("utf-8", "backslashreplace")


def _arrow_reader(
    path: Path | str, exchange: str | None, symbol: str | None, decimals: int | None
) -> "ArrowReader":
    try:
        from entasis_db.readers.arrow import read_arrow
    except ImportError:
        raise LoadError(_no_arrow(path)) from None
    return read_arrow(path, exchange=exchange, symbol=symbol, decimals=decimals)


def _no_arrow(path: Path | str) -> str:
    return f"{Path(path).name}: Parquet and Arrow need pyarrow: pip install 'entasis-db[arrow]'"


@dataclass(frozen=True)
class Part:
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
    edges: Sequence[Edge] = ()
    """What must be stored as it is, or not at all, before this batch is written."""


def ahead(reader: AnyReader, parts: Iterator[Part]) -> AbstractContextManager[Iterator[Part]]:
    """Read while others write; a pipe in this thread: nothing could stop one that waits for it."""
    return nullcontext(parts) if reader.total_bytes is None else read_ahead(parts)


def text_parts(
    reader: TradeReader | OptionReader,
    target: Target[Row],
    batch_rows: int,
    time_unit: TimeUnit | None = None,
) -> Iterator[Part]:
    """Cut the rows of a text file into batches."""
    rows: list[Any] = []
    lines: list[int] = []
    refusals: list[Refusal] = []
    moments = Moments(reader) if isinstance(reader, TradeReader) else None

    def part(edges: Sequence[Edge] = (), fault: LoadError | None = None) -> Part:
        id_space, units = None, None
        if isinstance(reader, TradeReader):
            id_space = {(s, e): space for (e, s), space in reader.id_spaces.items()}
            units = time_unit or {(s, e): unit for (e, s), unit in reader.time_units.items()}
        return Part(
            RowBatch(target, rows, lines, refusals),
            id_space,
            units,
            reader.bytes_read,
            reader.truncated_nanoseconds,
            fault,
            edges,
        )

    fault, full = None, batch_rows
    edges: list[Edge] = []
    try:
        for item in reader:
            match item:
                case Rejected(line, code, reason, payload):
                    refusals.append(Refusal(line, code, reason, payload))
                case TradeRow(line, row) | OptionRow(line, row):
                    rows.append(row)
                    lines.append(line)
            if len(rows) + len(refusals) >= full and (moments is None or moments.may_cut(line)):
                later: list[Any] = []
                later_lines: list[int] = []
                if moments is not None:
                    edges, later, later_lines = moments.take(rows, lines, at_end=False)
                yield part(edges)
                rows, lines, refusals = later, later_lines, []
                full = len(rows) + batch_rows
    except LoadError as error:
        fault = error
    if moments is not None:
        edges, _, _ = moments.take(rows, lines, at_end=True)
    yield part(edges, fault)


def _arrow_parts(
    reader: "ArrowReader", batch_rows: int, id_space: str, time_unit: TimeUnit | None
) -> Iterator[Part]:
    """Take the tables of a Parquet or Arrow file as batches."""
    from entasis_db.ingest.arrow_batch import ArrowBatch

    fault = None
    try:
        for table in reader.tables(batch_rows):
            yield Part(
                ArrowBatch(table, reader.time_unit),
                id_space,
                time_unit,
                reader.bytes_read,
                reader.truncated_nanoseconds,
            )
    except LoadError as error:
        fault = error
    rest: RowBatch[Any] = RowBatch(TRADES, [])
    yield Part(rest, id_space, None, reader.bytes_read, reader.truncated_nanoseconds, fault)


def _option_parts(reader: "ArrowOptionReader", batch_rows: int) -> Iterator[Part]:
    """Take the quotes of a Parquet or Arrow file as batches."""
    from entasis_db.ingest.arrow import quote_batches

    fault = None
    batch: Batch
    try:
        for batch in quote_batches(reader, batch_rows):
            yield Part(batch, None, None, reader.bytes_read, reader.truncated_nanoseconds)
    except LoadError as error:
        fault = error
    batch = RowBatch(OPTIONS, [])
    yield Part(batch, None, None, reader.bytes_read, reader.truncated_nanoseconds, fault)
