"""Trades from Arrow and Parquet, and so from Polars and pandas: exactly, and fast.

    import polars

    from entasis_db.arrow import ingest_arrow

    trades = polars.read_parquet("trades.parquet")
    ingest_arrow(connection, trades, source="my archive", id_space="trade")

Columns are symbol, exchange, timestamp, id, price and volume, in any order; others are passed
over. A batch that is clean as a whole is written as COPY's text by Arrow itself; only another one
is taken apart, and goes the way of ingest_trades. It needs the extra ``entasis-db[arrow]``.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import pyarrow.parquet as pq
from psycopg import errors
from psycopg.rows import tuple_row

from entasis_db import ingest
from entasis_db.errors import LoadError
from entasis_db.ingest import IdSpace, IngestReport, Refusal, ingest_trades, quarantine, retrying
from entasis_db.model import Trade

BATCH_ROWS = 50_000
"""Rows of one transaction."""

_COLUMNS = ("symbol", "exchange", "timestamp", "id", "price", "volume")
_DECIMALS = 12
_MOST_DIGITS = 38
_TYPES: dict[str, Any] = {"symbol": pa.string(), "exchange": pa.string(), "id": pa.int64()}
_MICROSECONDS = pa.timestamp("us", "UTC")


@dataclass(frozen=True)
class ArrowReport(IngestReport):
    """What became of the rows, and of their times."""

    truncated_nanoseconds: int = 0
    """Timestamps whose digits below the microsecond were cut off, never rounded up."""


Progress = Callable[[ArrowReport], None]


def ingest_arrow(
    connection: psycopg.Connection[Any],
    trades: Any,
    *,
    source: str,
    id_space: IdSpace,
    symbol: str | None = None,
    exchange: str | None = None,
    decimals: int | None = None,
    batch_rows: int = BATCH_ROWS,
    progress: Progress = lambda _: None,
) -> ArrowReport:
    """Write trades in batches, each a transaction of its own, or all inside the caller's.

    ``trades`` is a pyarrow Table, RecordBatch or RecordBatchReader, or whatever has
    ``__arrow_c_stream__``: a data frame of Polars, or of pandas from 2.2 on. ``symbol`` and
    ``exchange`` stand for columns that are missing. ``source`` and ``id_space`` are as for
    ingest_trades; lines in quarantine count rows from 1.

    Timestamps must have a time zone; digits below the microsecond are cut off. Price and volume are
    decimals or integers. Floats are not exact and are refused, unless ``decimals`` says how many
    decimals they were written with: then each is taken for the decimal of so many places that reads
    back as the same float, and refused where there is none. A row with a null goes to quarantine.

    Raises LoadError for columns that are missing or of a type that is not exact, before anything is
    written; IdSpaceError and psycopg's errors as ingest_trades does.
    """
    if batch_rows < 1:
        raise ValueError(f"batch_rows is {batch_rows}: give 1 or more")
    reader = _reader(trades)
    _check(reader.schema, {"symbol": symbol, "exchange": exchange}, decimals, source)
    total = IngestReport()
    line, truncated = 1, 0
    for batch in _batches(reader, batch_rows):
        table = _exact(batch, symbol, exchange, decimals, source, line)
        line += len(batch)
        truncated += _finer_than_microseconds(batch)

        def step(table: pa.Table = table) -> IngestReport:
            return _write(connection, table, source, id_space)

        own = connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        total += retrying(step) if own else step()
        progress(_report(total, truncated))
    return _report(total, truncated)


def read_arrow_file(path: Path | str) -> pa.RecordBatchReader:
    """Open a file of Parquet, or of Arrow's own format (Feather), batch by batch.

    Raises LoadError when it cannot be opened or is neither.
    """
    try:
        with Path(path).open("rb") as file:
            magic = file.read(6)
        if magic[:4] == b"PAR1":
            parquet = pq.ParquetFile(path)
            return pa.RecordBatchReader.from_batches(
                parquet.schema_arrow, parquet.iter_batches(BATCH_ROWS)
            )
        if magic == b"ARROW1":
            feather = pa.ipc.open_file(pa.memory_map(str(path)))
            batches = (feather.get_batch(n) for n in range(feather.num_record_batches))
            return pa.RecordBatchReader.from_batches(feather.schema, batches)
    except (OSError, pa.ArrowException) as error:
        raise LoadError(f"{path}: cannot be read: {error}") from error
    raise LoadError(f"{path}: this is neither a Parquet nor an Arrow file")


def _report(report: IngestReport, truncated: int) -> ArrowReport:
    return ArrowReport(report.inserted, report.already_there, report.quarantined, truncated)


def _finer_than_microseconds(batch: pa.Table) -> int:
    times = batch.column("timestamp")
    if times.type.unit != "ns":
        return 0
    finer = pc.not_equal(times, pc.floor_temporal(times, unit="microsecond"))
    return pc.sum(finer).as_py() or 0


def _reader(trades: Any) -> pa.RecordBatchReader:
    if isinstance(trades, pa.RecordBatchReader):
        return trades
    if isinstance(trades, pa.RecordBatch):
        trades = pa.Table.from_batches([trades])
    if isinstance(trades, pa.Table):
        return trades.to_reader(BATCH_ROWS)
    if hasattr(trades, "__arrow_c_stream__"):
        return pa.RecordBatchReader.from_stream(trades)
    raise TypeError(
        f"{type(trades).__name__} is no Arrow data: give a pyarrow Table or RecordBatchReader, or "
        "what has __arrow_c_stream__"
    )


def _batches(reader: pa.RecordBatchReader, batch_rows: int) -> Iterator[pa.Table]:
    """Cut and join what comes into batches of one size: each is a transaction."""
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in reader:
        rest = batch
        while rows + len(rest) >= batch_rows:
            taken = batch_rows - rows
            yield pa.Table.from_batches([*held, rest.slice(0, taken)], reader.schema)
            rest, held, rows = rest.slice(taken), [], 0
        if len(rest):
            held.append(rest)
            rows += len(rest)
    if held:
        yield pa.Table.from_batches(held, reader.schema)


def _check(
    schema: pa.Schema, given: dict[str, str | None], decimals: int | None, source: str
) -> None:
    """Refuse columns that are missing, or of a type that is not exact."""
    for name in _COLUMNS:
        if name not in schema.names:
            if given.get(name) is not None:
                continue
            also = f", or give {name}=" if name in given else ""
            raise LoadError(
                f"{source}: there is no column {name!r}: rename the one that is it{also}"
            )
        kind = schema.field(name).type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        problem = None
        if name in ("price", "volume"):
            if pa.types.is_floating(kind):
                if decimals is None:
                    problem = (
                        f"is a {kind}, which is not exact. Cast it where it is known how it was "
                        "written, as in cast(decimal128(38, 12)), or say how many decimals it was "
                        "written with: decimals="
                    )
            elif not (pa.types.is_decimal(kind) or pa.types.is_integer(kind)):
                problem = f"is a {kind}. Cast it to a decimal, as in cast(decimal128(38, 12))"
        elif name == "timestamp":
            if not pa.types.is_timestamp(kind) or kind.tz is None:
                problem = f"is a {kind}. Cast it to a timestamp with a zone: timestamp('us', 'UTC')"
        elif name == "id":
            if not pa.types.is_integer(kind):
                problem = f"is a {kind}. Ids are integers; see docs/loading.md for other ids"
        elif not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or _is_view(kind)):
            problem = f"is a {kind}, and not text"
        if problem:
            raise LoadError(f"{source}: column {name!r} {problem}")
    if decimals is not None and not 0 <= decimals <= _DECIMALS:
        raise ValueError(f"decimals is {decimals}: give 0 to {_DECIMALS}")


def _is_view(kind: Any) -> bool:
    return bool(pa.types.is_string_view(kind))


def _exact(
    batch: pa.Table,
    symbol: str | None,
    exchange: str | None,
    decimals: int | None,
    source: str,
    first_line: int,
) -> pa.Table:
    """Bring the columns to one form: text, UTC microseconds, int64, decimals; and number rows."""
    columns: dict[str, Any] = {"line": pa.array(range(first_line, first_line + len(batch)))}
    constants = {"symbol": symbol, "exchange": exchange}
    for name in _COLUMNS:
        if name not in batch.column_names:
            columns[name] = pa.array([constants[name]] * len(batch), pa.string())
            continue
        column = batch.column(name)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        try:
            if name == "timestamp":
                if column.type.unit == "ns":
                    column = pc.floor_temporal(column, unit="microsecond")
                column = column.cast(_MICROSECONDS)
            elif name in _TYPES:
                column = column.cast(_TYPES[name])
            elif pa.types.is_integer(column.type):
                column = column.cast(pa.decimal128(_MOST_DIGITS, 0))
            elif pa.types.is_floating(column.type):
                column = _from_floats(column, decimals or 0)
        except pa.ArrowInvalid as error:
            raise LoadError(
                f"{source}: column {name!r}, rows {first_line} to {first_line + len(batch) - 1}: "
                f"{error}. Nothing of them was loaded"
            ) from error
        columns[name] = column
    return pa.table(columns)


def _from_floats(floats: Any, decimals: int) -> Any:
    """Take floats for the decimals that they were written as; refuse what reads back otherwise."""
    exact = floats.cast(pa.float64())
    taken = pc.round(exact, decimals).cast(pa.decimal128(_MOST_DIGITS, decimals))
    same = pc.equal(taken.cast(pa.string()).cast(pa.float64()), exact)
    if pc.any(pc.invert(same)).as_py():
        position = same.index(False).as_py()
        raise pa.ArrowInvalid(
            f"row {position + 1} of them, {exact[position]}, has more than {decimals} decimals"
        )
    return taken


def _write(
    connection: psycopg.Connection[Any], table: pa.Table, source: str, id_space: IdSpace
) -> IngestReport:
    """Write one batch in one transaction: as a whole if it is clean, else row by row."""
    complete = table.drop_null()
    with connection.transaction():
        refused = 0
        if len(complete) < len(table):
            refused = quarantine(connection, "market_data", _incomplete(table), source=source)
        report = IngestReport(quarantined=refused)
        if len(complete) == 0:
            return report
        text = _clean_text(complete)
        if text is not None:
            try:
                return report + _copy(connection, complete, text, source, id_space)
            except (errors.IntegrityError, errors.DataError):
                pass  # the slow way makes what months are missing, and finds out which row it was
        lines, *fields = (complete.column(n).to_pylist() for n in ("line", *_COLUMNS))
        rows = [Trade(*values) for values in zip(*fields, strict=True)]
        return report + ingest_trades(
            connection, rows, source=source, id_space=id_space, lines=lines
        )


def _copy(
    connection: psycopg.Connection[Any],
    table: pa.Table,
    text: memoryview,
    source: str,
    id_space: IdSpace,
) -> IngestReport:
    markets = table.group_by(["symbol", "exchange"]).aggregate([("line", "min")]).to_pylist()
    known = [Trade(m["symbol"], m["exchange"], _NEVER, 0, _NOTHING, _NOTHING) for m in markets]
    lines = [m["line_min"] for m in markets]
    with connection.transaction(), psycopg.Cursor(connection, row_factory=tuple_row) as cursor:
        ingest.record_id_spaces(cursor, known, id_space, source, lines)
        with cursor.copy(ingest.COPY_TRADES) as copy:
            copy.write(text)
        return IngestReport(inserted=cursor.rowcount)


_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_NOTHING = Decimal(0)


def _incomplete(table: pa.Table) -> Iterator[Refusal]:
    for row in table.to_pylist():
        missing = [name for name in _COLUMNS if row[name] is None]
        if missing:
            payload = {n: None if row[n] is None else str(row[n]) for n in _COLUMNS}
            yield Refusal(row["line"], missing[0], f"the {missing[0]} is missing", payload)


def _clean_text(table: pa.Table) -> memoryview | None:
    """Write rows for COPY, in the order of the key, if the table surely takes them all."""
    first, latest = ingest.time_bounds()
    times = table.column("timestamp")
    sane = [pc.greater_equal(times, first), pc.less_equal(times, latest)]
    for name in ("symbol", "exchange"):
        names = table.column(name)
        length = pc.utf8_length(names)
        sane += [pc.greater(length, 0), pc.less_equal(length, ingest.NAME_LENGTH)]
        # what COPY's text would need to be escaped, and what PostgreSQL cannot store
        sane.append(pc.invert(pc.match_substring_regex(names, r"[\x00\t\n\r\\]")))
    exact: dict[str, Any] = {}
    for name in ("price", "volume"):
        number = table.column(name)
        sane += [
            pc.greater(number, Decimal(0)),
            pc.less(number, ingest.PRICE_LIMIT),
        ]
        try:
            if number.type.scale > _DECIMALS:
                number = number.cast(pa.decimal128(_MOST_DIGITS, _DECIMALS))
        except pa.ArrowInvalid:
            return None
        exact[name] = number
    if not all(pc.all(column).as_py() for column in sane):
        return None
    for name, number in exact.items():
        table = table.set_column(table.column_names.index(name), name, number)
    # writers that lock in one order do not deadlock
    table = table.sort_by([(n, "ascending") for n in _COLUMNS[:4]])
    fields = [table.column(name) for name in _COLUMNS]
    # without its zone, because Arrow would ask the machine for it
    moments = fields[2].cast(pa.int64()).cast(pa.timestamp("us")).cast(pa.string())
    fields[2] = pc.binary_join_element_wise(moments, "+00", "")
    texts = [field.cast(pa.string()) for field in fields]
    lines = pc.binary_join_element_wise(
        pc.binary_join_element_wise(*texts, "\t"), "", "\n"
    ).combine_chunks()
    chunks = lines.chunks if isinstance(lines, pa.ChunkedArray) else [lines]
    return memoryview(b"".join(_characters(chunk) for chunk in chunks))


def _characters(lines: Any) -> memoryview:
    """Return the text of all lines, which Arrow keeps in one piece."""
    _, offsets, data = lines.buffers()
    edges = memoryview(offsets).cast("i")[lines.offset : lines.offset + len(lines) + 1]
    return memoryview(data)[edges[0] : edges[-1]]


def load_arrow(
    connection: psycopg.Connection[Any], path: Path | str, **options: Any
) -> ArrowReport:
    """Write the trades of one Parquet or Arrow file; ``options`` are those of ingest_arrow.

    Raises LoadError when it cannot be read to its end; what came before is stored.
    """
    source = Path(path).name
    try:
        return ingest_arrow(connection, read_arrow_file(path), source=source, **options)
    except (OSError, pa.ArrowException) as error:
        raise LoadError(f"{source}: cannot be read to its end: {error}") from error
