"""Trades from Arrow and Parquet, and so from Polars and pandas, as tables of exact columns."""

from collections.abc import Iterator
from decimal import Decimal
from functools import reduce
from pathlib import Path
from typing import Any

from entasis_db.errors import LoadError
from entasis_db.extras import extra
from entasis_db.ids import digest_id
from entasis_db.model import TimeUnit, Trade
from entasis_db.readers.arrow_tables import (
    MOST_DIGITS,
    ArrowSource,
    check_decimals,
    from_floats,
    is_text,
    number_problem,
    open_file,
    time_problem,
)
from entasis_db.readers.ids import is_damaged
from entasis_db.readers.names import stored_symbol

with extra("arrow"):
    import pyarrow as pa
    import pyarrow.compute as pc

COLUMNS = Trade._fields
"""Columns of a trade; any other is ignored."""
OPTIONAL = ("side", "source_id", "excluded")
"""Columns that may be missing, and hold nulls."""

_TYPES: dict[str, Any] = {
    **dict.fromkeys(("symbol", "exchange", *OPTIONAL), pa.string()),
    "id": pa.int64(),
}
_MICROSECONDS = pa.timestamp("us", "UTC")
_ZERO = Decimal(0)


class ArrowReader(ArrowSource):
    """The trades of Arrow data, in tables.

    ``trades`` is a pyarrow Table, RecordBatch or RecordBatchReader, or whatever has
    ``__arrow_c_stream__``; ``symbol`` and ``exchange`` stand for columns that are missing.
    ``decimals`` is how many decimals floats were written with.

    Raises LoadError for columns that are missing or of a type that is not exact.
    """

    def __init__(
        self,
        trades: Any,
        *,
        source: str,
        symbol: str | None = None,
        exchange: str | None = None,
        decimals: int | None = None,
    ) -> None:
        super().__init__(trades, source)
        if symbol is not None and exchange is not None:
            symbol = stored_symbol(exchange, symbol)
        self._constants = {"symbol": symbol, "exchange": exchange}
        self._decimals = decimals
        self.has_text_ids = is_text(self._batches.schema.field("id").type)
        """Whether its ids are text, of which they are digests: their space has to be ``digest``."""
        self._signed: set[tuple[str, str]] = set()
        _check(self._batches.schema, self._constants, decimals, source)
        unit = self._batches.schema.field("timestamp").type.unit
        self.time_unit: TimeUnit = unit if unit in ("s", "ms") else "us"
        """The unit of the times, nanoseconds having been cut."""

    def tables(self, rows: int) -> Iterator[Any]:
        """Cut and join what comes into tables of so many rows: ``line``, from 1, and COLUMNS.

        Names are text, times UTC microseconds, ids int64, numbers decimals. LoadError where the
        data cannot be read on, or a value has no exact form.
        """
        return self._pieces(rows, self._exact)

    def _exact(self, table: Any) -> Any:
        """Bring the columns to one form, and number the rows."""
        first = self.rows_read + 1
        columns: dict[str, Any] = {"line": pa.array(range(first, first + len(table)))}
        for name in COLUMNS:
            if name not in table.column_names:
                columns[name] = pa.array([self._constants.get(name)] * len(table), pa.string())
                continue
            if name == "id" and self.has_text_ids:
                continue
            with self._in_column(name, table):
                columns[name] = _exact_column(name, table.column(name), self._decimals or 0)
        if self.has_text_ids:
            columns["id"], columns["source_id"] = _digests(table.column("id"))
        exact = self._unsigned(pa.table(columns).select(["line", *COLUMNS]))
        self.truncated_nanoseconds += _finer_than_microseconds(table)
        return exact

    def _unsigned(self, table: Any) -> Any:
        """Take sizes below zero for sold ones, and in their markets others for bought ones.

        Where the sign contradicts a side, it stays: SQL says that there is no such volume.
        """
        volume, side = table.column("volume"), table.column("side")
        negative = pc.fill_null(pc.less(volume, _ZERO), False)
        if pc.any(negative).as_py():
            names = table.filter(negative).select(["symbol", "exchange"])
            self._signed |= {(m["symbol"], m["exchange"]) for m in names.to_pylist()}
        elif not self._signed:
            return table
        in_market = [
            pc.and_(pc.equal(table["symbol"], symbol), pc.equal(table["exchange"], exchange))
            for symbol, exchange in self._signed
        ]
        untold = pc.and_(pc.is_null(side), pc.fill_null(reduce(pc.or_, in_market), False))
        side = pc.if_else(untold, pc.if_else(negative, "sell", "buy"), side)
        negative = pc.and_(negative, pc.fill_null(pc.not_equal(side, "buy"), True))
        size = pc.if_else(negative, pc.abs(volume), volume)
        table = table.set_column(table.column_names.index("volume"), "volume", size)
        return table.set_column(table.column_names.index("side"), "side", side)


def read_arrow(
    path: Path | str,
    *,
    symbol: str | None = None,
    exchange: str | None = None,
    decimals: int | None = None,
) -> ArrowReader:
    """Open a file of Parquet, or of Arrow's own format (Feather).

    Raises LoadError when it cannot be opened, is neither, or has columns that are not exact.
    """
    path = Path(path)
    batches, rows = open_file(path)
    reader = ArrowReader(
        batches, source=path.name, symbol=symbol, exchange=exchange, decimals=decimals
    )
    reader.opened(path, rows)
    return reader


def _check(schema: Any, given: dict[str, str | None], decimals: int | None, source: str) -> None:
    """Refuse columns that are missing, or of a type that is not exact."""
    for name in COLUMNS:
        if name not in schema.names:
            if name in OPTIONAL or given.get(name) is not None:
                continue
            also = f", or give {name}=" if name in given else ""
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
    """Say why a column of this type cannot be taken, and how to cast it."""
    if name in ("price", "volume"):
        return number_problem(kind, decimals)
    if name == "timestamp":
        return time_problem(kind)
    if name == "id":
        if not (pa.types.is_integer(kind) or is_text(kind)):
            return f"is a {kind}. Ids are integers, or text; cast larger numbers to text"
    elif not (
        is_text(kind)
        # a column without a value has no type
        or (name in OPTIONAL and pa.types.is_null(kind))
    ):
        return f"is a {kind}, and not text"
    return None


def _digests(column: Any) -> tuple[Any, Any]:
    """Return the digests of ids that are text, null for damaged numbers, and the text."""
    texts = [None if text is None else text.strip() for text in column.to_pylist()]
    ids = [None if text is None or is_damaged(text) else digest_id(text) for text in texts]
    return pa.array(ids, pa.int64()), pa.array(texts, pa.string())


def _exact_column(name: str, column: Any, decimals: int) -> Any:
    """Bring one column to its form; ArrowInvalid for a value that has no exact one."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if name == "timestamp":
        if column.type.unit == "ns":
            column = pc.floor_temporal(column, unit="microsecond")
        return column.cast(_MICROSECONDS)
    if name in _TYPES:
        return column.cast(_TYPES[name])
    if pa.types.is_integer(column.type):
        return column.cast(pa.decimal128(MOST_DIGITS, 0))
    if pa.types.is_floating(column.type):
        return from_floats(column, decimals)
    return column


def _finer_than_microseconds(table: Any) -> int:
    times = table.column("timestamp")
    if times.type.unit != "ns":
        return 0
    finer = pc.not_equal(times, pc.floor_temporal(times, unit="microsecond"))
    return pc.sum(finer).as_py() or 0
