"""The answers of queries as Arrow: what the server sends as CSV, parsed outside of Python.

A query runs inside ``COPY (...) TO STDOUT``, with its parameters as literals that psycopg writes,
as COPY takes none. Rows are gathered into pieces, and a thread parses one piece while the next
one comes in. See docs/decisions/0036 for the types and for what does not fit into one.
"""

import json
from asyncio import wrap_future
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from psycopg import AsyncConnection, AsyncCursor, Connection, Cursor, DataError, sql

from entasis_db.cursors import gather
from entasis_db.extras import extra
from entasis_db.model import PositionSnapshot
from entasis_db.queries.rows import Candle, Computed, PredictionScore, SmilePoint
from entasis_db.search_path import untyped

with extra("arrow"):
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.csv as pcsv

if TYPE_CHECKING:
    from entasis_db.queries.statement import Statement

FIRST_BYTES, MOST_BYTES = 2**17, 2**20
"""A record batch is made of so much text, and the row that it ends in. The first ones are smaller
and each twice the one before, so that parsing begins early; the last have some 6,000 candles."""

_TIME = pa.timestamp("us", "UTC")
_PRICE = pa.decimal128(38, 18)
_STRIKE = pa.decimal128(24, 12)
_GREEK = pa.decimal128(30, 18)
_WIDE = pa.decimal128(38, 24)
_OTHERS = {
    "strike_price": _STRIKE,
    **dict.fromkeys(("iv", "bid_iv", "ask_iv", "delta", "gamma", "theta", "vega", "rho"), _GREEK),
}
"""Numbers that the schema bounds more tightly than prices."""
_UNBOUNDED = {
    (Candle, "volume"): _PRICE,
    (Candle, "quote_volume"): _WIDE,
    (Candle, "turnover"): _WIDE,
    (SmilePoint, "moneyness"): _WIDE,
    (PredictionScore, "actual_value"): _WIDE,
    (PredictionScore, "error"): _WIDE,
    (PositionSnapshot, "pnl"): _WIDE,
}
"""Sums, quotients and products, which no decimal of 38 digits holds in every case; those of other
packages are annotated so (rows.Computed)."""


@dataclass(frozen=True)
class Column:
    """One column of a query's answer."""

    name: str
    type: Any
    """Its Arrow type."""
    has_text: bool = False
    """Whether a column of text follows, with what the type cannot hold."""

    def fields(self, floats: bool) -> list[Any]:
        """Return its Arrow fields."""
        if pa.types.is_decimal(self.type) and floats:
            return [pa.field(self.name, pa.float64())]
        own = pa.field(self.name, self.type)
        return [own, pa.field(f"{self.name}_text", pa.string())] if self.has_text else [own]


@cache
def columns_of(kind: type) -> tuple[Column, ...]:
    """Return the columns of the rows of one class."""
    hints, marked = get_type_hints(kind), get_type_hints(kind, include_extras=True)
    computed = {
        name: _WIDE for name, hint in marked.items() if Computed in {hint, *get_args(hint)}
    } | {name: own for (of, name), own in _UNBOUNDED.items() if of is kind}
    return tuple(
        Column(name, computed.get(name) or _type_of(name, hints[name]), name in computed)
        for name in kind._fields  # type: ignore[attr-defined]
    )


def _type_of(name: str, hint: Any) -> Any:
    types = {hint, *get_args(hint)}
    if Decimal in types:
        return _OTHERS.get(name, _PRICE)
    if any(get_origin(one) is list for one in types):
        return pa.list_(pa.string())
    exact = {datetime: _TIME, timedelta: pa.duration("us"), bool: pa.bool_(), int: pa.int64()}
    return next((exact[one] for one in types & exact.keys()), pa.string())


def schema_of(kind: type, floats: bool) -> Any:
    """Return the Arrow schema of the rows of one class."""
    return pa.schema([field for column in columns_of(kind) for field in column.fields(floats)])


# ------------------------------------------------------------------ from the server


def record_batches(
    connection: Connection[Any], statement: "Statement[Any]", floats: bool
) -> Iterator[Any]:
    """Yield the answer in record batches."""
    form = Csv(statement.row, floats, connection.pgconn.parameter_status(b"DateStyle"))
    with (
        ThreadPoolExecutor(1) as pool,
        Cursor(connection) as cursor,
        cursor.copy(form.copy(statement.sql), _literals(statement)) as copy,
    ):
        parsing: Future[Any] | None = None
        size = FIRST_BYTES
        while piece := connection.wait(_piece(copy, size)):
            # the last one is parsed here, so that a short answer starts no thread
            last = len(piece) < size
            size = min(2 * size, MOST_BYTES)
            following = None if last else pool.submit(form.parse, piece)
            if parsing is not None:
                yield parsing.result()
            if last:
                yield form.parse(piece)
            parsing = following
        if parsing is not None:
            yield parsing.result()


async def record_batches_async(
    connection: AsyncConnection[Any], statement: "Statement[Any]", floats: bool
) -> AsyncIterator[Any]:
    """Yield the answer in record batches; none is parsed in the event loop's thread."""
    form = Csv(statement.row, floats, connection.pgconn.parameter_status(b"DateStyle"))
    with ThreadPoolExecutor(1) as pool:
        async with (
            AsyncCursor(connection) as cursor,
            cursor.copy(form.copy(statement.sql), _literals(statement)) as copy,
        ):
            parsing: Future[Any] | None = None
            size = FIRST_BYTES
            while piece := await connection.wait(_piece(copy, size)):
                size = min(2 * size, MOST_BYTES)
                following = pool.submit(form.parse, piece)
                if parsing is not None:
                    yield await wrap_future(parsing)
                parsing = following
            if parsing is not None:
                yield await wrap_future(parsing)


def _literals(statement: "Statement[Any]") -> dict[str, object]:
    return {name: untyped(value) for name, value in statement.params.items()}


def _piece(copy: Any, size: int) -> Any:
    """Gather rows of so many bytes, as a generator that psycopg waits for."""
    piece = bytearray()
    yield from gather(copy, size, piece)
    return piece


# ------------------------------------------------------------------ from CSV


class Csv:
    """The CSV of one query: what is selected for it, and how it is parsed."""

    def __init__(self, kind: type, floats: bool, date_style: bytes | None) -> None:
        self._columns = columns_of(kind)
        self._schema = schema_of(kind, floats)
        self._floats = floats
        self._iso = (date_style or b"").startswith(b"ISO")

    def copy(self, query: str) -> sql.Composed:
        """Return the statement that sends the answer as CSV, with psycopg's parameters in it."""
        inner: sql.Composable = sql.SQL(query.rstrip().removesuffix(";"))
        selected = [self._expression(column) for column in self._columns]
        if any(selected):
            inner = sql.SQL("SELECT {} FROM (\n{}\n) AS q").format(
                sql.SQL(", ").join(
                    one or sql.Identifier("q", column.name)
                    for one, column in zip(selected, self._columns, strict=True)
                ),
                inner,
            )
        return sql.SQL("COPY (\n{}\n) TO STDOUT (FORMAT csv, ENCODING 'UTF8')").format(inner)

    def _expression(self, column: Column) -> sql.Composed | None:
        """Return what is selected for a column; None: the column."""
        name = sql.Identifier("q", column.name)
        if pa.types.is_list(column.type):
            return sql.SQL("pg_catalog.to_json({})").format(name)
        # text of an interval and of a time hangs on the session; Arrow reads times of ISO's style
        if pa.types.is_duration(column.type) or (column.type == _TIME and not self._iso):
            return sql.SQL(
                "(extract(EPOCH FROM {}) OPERATOR(pg_catalog.*) 1000000)::bigint"
            ).format(name)
        return None

    def parse(self, text: bytearray) -> Any:
        """Parse rows into a record batch; psycopg's DataError for a value that Arrow cannot hold.

        Nearly always Arrow reads all numbers and times. What it does not read, zeros beyond 38
        digits and offsets of seconds, is read once more as text, and taken from there.
        """
        try:
            try:
                batch = self._read(text, self._quick_type)
            except pa.ArrowInvalid:
                batch = self._read(text, self._careful_type)
            arrays: list[Any] = []
            for column, array in zip(self._columns, batch.columns, strict=True):
                arrays += self._converted(column, array)
            return pa.record_batch(arrays, schema=self._schema)
        except (pa.ArrowInvalid, ValueError, OverflowError) as error:
            raise DataError(f"a value has no exact form in Arrow: {error}") from error

    def _read(self, text: bytearray, type_of: Callable[[Column], Any]) -> Any:
        types = {column.name: type_of(column) for column in self._columns}
        table = pcsv.read_csv(
            pa.py_buffer(text),
            read_options=pcsv.ReadOptions(
                column_names=list(types), block_size=len(text) + 1, use_threads=False
            ),
            parse_options=pcsv.ParseOptions(newlines_in_values=True),
            convert_options=pcsv.ConvertOptions(
                column_types=types,
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                true_values=["t"],
                false_values=["f"],
            ),
        )
        (batch,) = table.to_batches()
        return batch

    def _quick_type(self, column: Column) -> Any:
        """Return the type that a column is parsed as.

        A decimal that may not fit is text: to more decimals than it has, Arrow takes it without
        noticing that it overflows.
        """
        if pa.types.is_decimal(column.type):
            if self._floats:
                return pa.float64()
            return pa.string() if column.has_text else column.type
        return self._careful_type(column) if column.type != _TIME or not self._iso else _TIME

    def _careful_type(self, column: Column) -> Any:
        if pa.types.is_boolean(column.type) or pa.types.is_integer(column.type):
            return column.type
        if pa.types.is_duration(column.type) or (column.type == _TIME and not self._iso):
            return pa.int64()
        return pa.string()

    def _converted(self, column: Column, array: Any) -> Sequence[Any]:
        """Bring what was parsed to the column's type, and make the column of text after it."""
        if pa.types.is_decimal(column.type):
            if self._floats:
                return [array.cast(pa.float64())]
            if array.type == column.type:
                return [array]
            numbers, texts = fitted(array, column.type)
            if column.has_text:
                return [numbers, texts]
            if texts.null_count < len(texts):
                raise ValueError(f"{column.name} is {texts.drop_null()[0]}")
            return [numbers]
        if array.type == column.type:
            return [array]
        if pa.types.is_list(column.type):
            made = [None if one is None else json.loads(one) for one in array.to_pylist()]
            return [pa.array(made, column.type)]
        if column.type == _TIME and array.type == pa.string():
            times = [None if t is None else datetime.fromisoformat(t) for t in array.to_pylist()]
            return [pa.array(times, _TIME)]
        return [array.view(column.type)]


def fitted(texts: Any, kind: Any) -> tuple[Any, Any]:
    """Return numbers as decimals, and as text what has more digits than those."""
    whole = kind.precision - kind.scale
    none = pa.scalar(None, pa.string())
    length, point = pc.binary_length(texts), pc.find_substring(texts, ".")
    if _fit_by_length(length, point, whole, kind.scale):
        return texts.cast(kind), pa.nulls(len(texts), pa.string())
    has_point = pc.greater_equal(point, 0)
    short = pc.if_else(has_point, pc.ascii_rtrim(texts, "0"), texts)
    decimals = pc.subtract(pc.subtract(pc.binary_length(short), point), 1)
    signs = pc.starts_with(texts, "-").cast(pa.int32())
    digits = pc.subtract(pc.if_else(has_point, point, length), signs)
    fits = pc.and_(
        pc.less_equal(digits, whole),
        pc.or_(pc.invert(has_point), pc.less_equal(decimals, kind.scale)),
    )
    short = pc.if_else(has_point, pc.ascii_rtrim(short, "."), short)
    return pc.if_else(fits, short, none).cast(kind), pc.if_else(fits, none, short)


def _fit_by_length(length: Any, point: Any, whole: int, scale: int) -> bool:
    """Say at little cost that all numbers fit; nearly always they do."""
    longest = pc.max(length).as_py() or 0
    if longest - len("0.") > scale:
        return False
    if longest <= whole:
        return True
    points = pc.min_max(point).as_py()
    return bool(points["min"] >= 0 and points["max"] <= whole)
