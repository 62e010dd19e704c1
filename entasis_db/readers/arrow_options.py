"""Option quotes from Arrow and Parquet, and so from Polars and pandas."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from entasis_db.errors import LoadError
from entasis_db.extras import extra
from entasis_db.model import OptionQuote
from entasis_db.readers.arrow_tables import (
    ArrowSource,
    check_decimals,
    from_floats,
    is_text,
    number_problem,
    open_file,
    time_problem,
)
from entasis_db.readers.options import end_of_day
from entasis_db.readers.rows import RowError

with extra("arrow"):
    import pyarrow as pa
    import pyarrow.compute as pc

COLUMNS = OptionQuote._fields
"""Columns of a quote; any other is ignored."""
REQUIRED = tuple(name for name in COLUMNS if name not in OptionQuote._field_defaults)
_NAMES = ("underlying", "option_type")
_EXACT = ("bid_price", "ask_price", "mark_price", "underlying_price", "open_interest")
_MICROSECONDS = pa.timestamp("us", "UTC")
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_NAN = Decimal("NaN")


_Faults = dict[int, tuple[str, str, str | None]]
"""By place in a table: the column, what is wrong, and the value as text."""


class Refused(NamedTuple):
    """A row that is no quote."""

    line: int
    """Its number, from 1."""
    code: str
    """The column that is to blame."""
    reason: str
    """What is wrong, for a person."""
    payload: dict[str, str | None]
    """The row's values as text."""


class Quotes(NamedTuple):
    """So many rows of what comes."""

    rows: Sequence[OptionQuote]
    lines: Sequence[int]
    """The number of each row, from 1."""
    refused: Sequence[Refused]


class ArrowOptionReader(ArrowSource):
    """The quotes of Arrow data.

    ``quotes`` is a pyarrow Table, RecordBatch or RecordBatchReader, or whatever has
    ``__arrow_c_stream__``; ``underlying`` stands for a column that is missing. Expiries that are
    dates are the end of that day in ``zone``, the venue's. ``decimals`` is how many decimals
    strikes, prices and open interest were written with, where they are floats. Volatilities and
    greeks may be floats: each is taken for the shortest decimal that reads back as the same float.

    Raises LoadError for columns that are missing or of a type that is not exact.
    """

    def __init__(
        self,
        quotes: Any,
        *,
        source: str,
        underlying: str | None = None,
        zone: tzinfo = UTC,
        decimals: int | None = None,
    ) -> None:
        super().__init__(quotes, source)
        self._underlying = underlying
        self._zone = zone
        self._decimals = decimals
        _check(self._batches.schema, underlying, decimals, source)

    def quotes(self, rows: int) -> Iterator[Quotes]:
        """Yield so many rows at a time, as far as they are quotes.

        LoadError where the data cannot be read on, or a value has no exact form.
        """
        return self._pieces(rows, self._read)

    def _read(self, table: Any) -> Quotes:
        first = self.rows_read + 1
        faults: _Faults = {}
        columns: list[list[Any]] = []
        for name in COLUMNS:
            if name not in table.column_names:
                columns.append([self._underlying if name == "underlying" else None] * len(table))
                continue
            column = table.column(name)
            if pa.types.is_dictionary(column.type):
                column = column.cast(column.type.value_type)
            with self._in_column(name, table):
                columns.append(self._values(name, column, faults))
        rows, lines, refused = [], [], []
        for place, values in enumerate(zip(*columns, strict=True)):
            fault = faults.get(place)
            if fault is None and None in values[: len(REQUIRED)]:
                missing = REQUIRED[values.index(None)]
                fault = (missing, f"the {missing} is missing", None)
            if fault is None:
                rows.append(OptionQuote(*values))
                lines.append(first + place)
            else:
                name, reason, text = fault
                told = {n: v if v is None else str(v) for n, v in zip(COLUMNS, values, strict=True)}
                refused.append(Refused(first + place, name, reason, told | {name: text}))
        return Quotes(rows, lines, refused)

    def _values(self, name: str, column: Any, faults: _Faults) -> list[Any]:
        """Return a column as Python has it; what a row lacks for that is a fault."""
        if name in _NAMES:
            return list(column.to_pylist())
        if name == "id":
            return list(column.cast(pa.int64()).to_pylist())
        if pa.types.is_date(column.type):
            return self._ends_of_days(column, faults)
        if pa.types.is_timestamp(column.type):
            return self._times(name, column, faults)
        if pa.types.is_floating(column.type):
            return _exact(column, self._decimals) if name in _PRICED else _shortest(column)
        if pa.types.is_integer(column.type):
            return [None if value is None else Decimal(value) for value in column.to_pylist()]
        return list(column.to_pylist())

    def _ends_of_days(self, column: Any, faults: _Faults) -> list[Any]:
        found: list[datetime | None] = []
        for place, text in enumerate(column.cast(pa.date32()).cast(pa.string()).to_pylist()):
            try:
                found.append(None if text is None else end_of_day(text, self._zone))
            except RowError as error:
                faults.setdefault(place, ("expiry_date", error.reason, text))
                found.append(None)
        return found

    def _times(self, name: str, column: Any, faults: _Faults) -> list[Any]:
        if column.type.unit == "ns":
            cut = pc.floor_temporal(column, unit="microsecond")
            self.truncated_nanoseconds += pc.sum(pc.not_equal(column, cut)).as_py() or 0
            column = cut
        times = column.cast(_MICROSECONDS)
        known = pc.and_(pc.greater_equal(times, _FIRST), pc.less_equal(times, _LAST))
        for place, is_known in enumerate(known.to_pylist()):
            if is_known is False:
                text = f"{times[place].value} microseconds since 1970"
                faults.setdefault(place, (name, "the time is beyond the years 1 to 9999", text))
        return list(pc.if_else(known, times, pa.scalar(None, _MICROSECONDS)).to_pylist())


_PRICED = ("strike_price", *_EXACT)
_TAKES: dict[str, Callable[[Any], bool]] = {
    "id": pa.types.is_integer,
    **dict.fromkeys(
        (name for name in COLUMNS if name not in (*REQUIRED, "id", *_EXACT)),
        lambda kind: (
            pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_integer(kind)
        ),
    ),
}
"""What else may be than names, times and prices."""


def read_arrow_options(
    path: Path | str, *, zone: tzinfo = UTC, decimals: int | None = None
) -> ArrowOptionReader:
    """Open a file of Parquet, or of Arrow's own format (Feather).

    Raises LoadError when it cannot be opened, is neither, or has columns that are not exact.
    """
    path = Path(path)
    batches, rows = open_file(path)
    reader = ArrowOptionReader(batches, source=path.name, zone=zone, decimals=decimals)
    reader.opened(path, rows)
    return reader


def _check(schema: Any, underlying: str | None, decimals: int | None, source: str) -> None:
    """Refuse columns that are missing, or of a type that is not exact."""
    for name in COLUMNS:
        if name not in schema.names:
            if name not in REQUIRED or (name == "underlying" and underlying is not None):
                continue
            also = ", or give underlying=" if name == "underlying" else ""
            raise LoadError(
                f"{source}: there is no column {name!r}: rename the one that is it{also}"
            )
        kind = schema.field(name).type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        if problem := _problem(name, kind, decimals):
            raise LoadError(f"{source}: column {name!r} {problem}")
    check_decimals(decimals)


def _problem(name: str, kind: Any, decimals: int | None) -> str | None:
    """Say why a column of this type cannot be taken."""
    if name not in REQUIRED and pa.types.is_null(kind):
        return None  # a column without a value has no type
    if name in _NAMES:
        return None if is_text(kind) else f"is a {kind}, and not text"
    if name in _PRICED:
        return number_problem(kind, decimals)
    if name in _TAKES:
        return None if _TAKES[name](kind) else f"is a {kind}, and no number"
    if name == "expiry_date" and pa.types.is_date(kind):
        return None
    return time_problem(kind)


def _shortest(floats: Any) -> list[Decimal | None]:
    """Take floats for the shortest decimals that read back as the same."""
    if pa.types.is_float16(floats.type):
        floats = floats.cast(pa.float32())
    texts = floats.cast(pa.string()).to_pylist()
    return [None if text is None else Decimal(text) for text in texts]


def _exact(floats: Any, decimals: int | None) -> list[Decimal | None]:
    """Take floats for the decimals that they were written as; what is no number stays none."""
    assert decimals is not None, "floats without decimals were refused"
    finite = pc.is_finite(floats)
    numbers = pc.if_else(finite, floats, pa.scalar(None, floats.type))
    found: list[Decimal | None] = from_floats(numbers, decimals).to_pylist()
    if not pc.all(finite).as_py():
        for place, value in enumerate(floats.to_pylist()):
            if value is not None and found[place] is None:
                found[place] = _NAN if value != value else Decimal(value)
    return found
