"""What readers of Arrow data share: pieces of one size, and numbers that are exact."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from entasis_db.errors import LoadError
from entasis_db.extras import extra
from entasis_db.readers.files import arrow_kind

with extra("arrow"):
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.ipc
    import pyarrow.parquet as pq

MOST_DIGITS = 38
PRICE_DECIMALS = 18
ROWS = 50_000
"""Rows of a piece of what comes in one piece."""


Piece = TypeVar("Piece")


class ArrowSource:
    """Arrow data that is read in tables of one size, and how far that is."""

    layout = "arrow"
    total_bytes: int | None = None
    """Size of the file; None for data in memory."""
    total_rows: int | None = None
    """Rows of the file, where it says so at its beginning."""
    truncated_nanoseconds = 0
    """How many times so far had digits below the microsecond, which were cut off."""

    def __init__(self, data: Any, source: str) -> None:
        self.source = source
        self.rows_read = 0
        self._batches = record_batches(data)
        self._ended = False

    @property
    def names(self) -> tuple[str, ...]:
        """The name of the file."""
        return (self.source,)

    def opened(self, path: Path, rows: int | None) -> None:
        """Take note of the file that the data is from."""
        self.total_bytes, self.total_rows = path.stat().st_size, rows

    @property
    def bytes_read(self) -> int:
        """About how far the reader is in the file."""
        if self.total_bytes is None:
            return 0
        if self._ended:
            return self.total_bytes
        return self.total_bytes * self.rows_read // self.total_rows if self.total_rows else 0

    def _pieces(self, rows: int, read: Callable[[Any], Piece]) -> Iterator[Piece]:
        """Read tables of so many rows; LoadError where the data cannot be read on."""
        try:
            for table in tables_of(self._batches, rows):
                found = read(table)
                self.rows_read += len(table)
                yield found
            self._ended = True
        except (OSError, pa.ArrowException) as error:
            raise LoadError(f"{self.source}: cannot be read to its end: {error}") from error

    @contextmanager
    def _in_column(self, name: str, table: Any) -> Iterator[None]:
        """Raise LoadError, with the column and the rows, for a value that has no exact form."""
        first, last = self.rows_read + 1, self.rows_read + len(table)
        try:
            yield
        except pa.ArrowInvalid as error:
            raise LoadError(
                f"{self.source}: column {name!r}, rows {first} to {last}: {error}. Nothing of "
                "them was loaded"
            ) from error


def open_file(path: Path) -> tuple[Any, int | None]:
    """Open a file of Parquet, or of Arrow's own format: its batches, and rows if it says so.

    Raises LoadError when it cannot be opened, or is neither.
    """
    rows = None
    try:
        match arrow_kind(path):
            case "parquet":
                parquet = pq.ParquetFile(path)
                rows = parquet.metadata.num_rows
                batches = pa.RecordBatchReader.from_batches(
                    parquet.schema_arrow, parquet.iter_batches(ROWS)
                )
            case "arrow":
                feather = pa.ipc.open_file(pa.memory_map(str(path)))
                batches = pa.RecordBatchReader.from_batches(
                    feather.schema, map(feather.get_batch, range(feather.num_record_batches))
                )
            case None:
                raise LoadError(f"{path}: this is neither a Parquet nor an Arrow file")
    except (OSError, pa.ArrowException) as error:
        raise LoadError(f"{path}: cannot be read: {error}") from error
    return batches, rows


def record_batches(data: Any) -> Any:
    """Return what comes as a RecordBatchReader; TypeError for what is no Arrow data."""
    if isinstance(data, pa.RecordBatchReader):
        return data
    if isinstance(data, pa.RecordBatch):
        data = pa.Table.from_batches([data])
    if isinstance(data, pa.Table):
        return data.to_reader(ROWS)
    if hasattr(data, "__arrow_c_stream__"):
        return pa.RecordBatchReader.from_stream(data)
    raise TypeError(
        f"{type(data).__name__} is no Arrow data: give a pyarrow Table or RecordBatchReader, or "
        "what has __arrow_c_stream__"
    )


def tables_of(batches: Any, rows_each: int) -> Iterator[Any]:
    """Cut and join what comes into tables of one size."""
    held: list[Any] = []
    rows = 0
    for batch in batches:
        rest = batch
        while rows + len(rest) >= rows_each:
            taken = rows_each - rows
            yield pa.Table.from_batches([*held, rest.slice(0, taken)], batches.schema)
            rest, held, rows = rest.slice(taken), [], 0
        if len(rest):
            held.append(rest)
            rows += len(rest)
    if held:
        yield pa.Table.from_batches(held, batches.schema)


def is_text(kind: Any) -> bool:
    """Say whether a type is that of text, or a dictionary of it."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def from_floats(floats: Any, decimals: int) -> Any:
    """Take floats for the decimals that they were written as; refuse what reads back otherwise."""
    exact = floats.cast(pa.float64())
    taken = pc.round(exact, decimals).cast(pa.decimal128(MOST_DIGITS, decimals))
    same = pc.equal(taken.cast(pa.string()).cast(pa.float64()), exact)
    if pc.any(pc.invert(same)).as_py():
        position = same.index(False).as_py()
        raise pa.ArrowInvalid(
            f"row {position + 1} of them, {exact[position]}, has more than {decimals} decimals"
        )
    return taken


def number_problem(kind: Any, decimals: int | None) -> str | None:
    """Say why numbers of a type cannot be taken exactly, and how to cast them."""
    if pa.types.is_floating(kind):
        if decimals is None:
            return (
                f"is a {kind}, which is not exact. Cast it where it is known how it was "
                "written, as in cast(decimal128(38, 18)), or say how many decimals it was "
                "written with: decimals="
            )
    elif not (pa.types.is_decimal(kind) or pa.types.is_integer(kind)):
        return f"is a {kind}. Cast it to a decimal, as in cast(decimal128(38, 18))"
    return None


def time_problem(kind: Any) -> str | None:
    """Say why times of a type cannot be taken, and how to cast them."""
    if not pa.types.is_timestamp(kind) or kind.tz is None:
        return f"is a {kind}. Cast it to a timestamp with a zone: timestamp('us', 'UTC')"
    return None


def check_decimals(decimals: int | None) -> None:
    """Raise ValueError for a number of decimals that no column has."""
    if decimals is not None and not 0 <= decimals <= PRICE_DECIMALS:
        raise ValueError(f"decimals is {decimals}: give 0 to {PRICE_DECIMALS}")
