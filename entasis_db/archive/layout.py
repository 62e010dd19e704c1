"""How rows become Parquet and back, and the checksum of their content.

The checksum is that of entasis_internal.count_and_checksum: the sum of each row's MD5 of a
canonical text, taken as two signed 64-bit halves.
"""

import hashlib
import importlib
import sys
from array import array
from binascii import hexlify
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import MAX_PREC, Decimal, localcontext
from pathlib import Path
from typing import Any
from uuid import UUID

from entasis_db.errors import ArchiveError
from entasis_db.extras import extra

with extra("archive"):
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.csv as pcsv
    import pyarrow.parquet as pq

ROW_GROUP = 131_072
"""Rows of a row group: what a reader of one symbol and one day reads at least."""
BLOCK = ROW_GROUP // 8  # rows of COPY's text that are parsed at a time
OBJECT_ROWS = 16 * ROW_GROUP
"""Rows of an object at most; one object at a time lies in a temporary file."""

_TIME = pa.timestamp("us", "UTC")
_LOCAL = pa.timestamp("us")
_PRICE = pa.decimal128(38, 18)
_STRIKE = pa.decimal128(24, 12)
_GREEK = pa.decimal128(30, 18)
_QUOTE = pa.decimal128(38, 24)
_YEAR_2000 = pa.scalar(946_684_800_000_000, pa.int64())  # where PostgreSQL counts times from

_CANDLE = {
    "symbol": pa.string(),
    "exchange": pa.string(),
    "bucket": _TIME,
    "open": _PRICE,
    "high": _PRICE,
    "low": _PRICE,
    "close": _PRICE,
    "volume": _PRICE,
    "volume_text": pa.string(),
    "quote_volume": _QUOTE,
    "quote_volume_text": pa.string(),
    "trades": pa.int64(),
    "opened_at": _TIME,
    "first_trade_id": pa.int64(),
    "closed_at": _TIME,
    "last_trade_id": pa.int64(),
}
# Sums have no bound of their own; what their decimals cannot hold goes, with every digit, into a
# second column. Arrow would not always notice: casts to more decimals may overflow in silence.
_IN_TEXT = {
    "volume": "volume_text",
    "quote_volume": "quote_volume_text",
}
_FITS = {
    "volume": "r.volume OPERATOR(pg_catalog.<) 1e20",
    "quote_volume": (
        "pg_catalog.abs(r.quote_volume) OPERATOR(pg_catalog.<) 1e14"
        " AND pg_catalog.min_scale(r.quote_volume) OPERATOR(pg_catalog.<=) 24"
    ),
}


@dataclass(frozen=True)
class Layout:
    """The Parquet of one relation."""

    columns: dict[str, Any]
    """Arrow type by name."""
    time: str
    """The column that partitions it."""
    order: tuple[str, ...]
    """What rows are sorted by: a reader of one symbol and one day finds them side by side."""
    texts: tuple[str, str]
    """The two text columns that end the canonical text; the first one's length stands before."""

    @property
    def schema(self) -> Any:
        """The Arrow schema."""
        return pa.schema(list(self.columns.items()))

    @property
    def stored(self) -> list[str]:
        """The relation's own columns."""
        return [name for name in self.columns if name not in _IN_TEXT.values()]

    def text_of(self, name: str) -> str | None:
        """Return the column for what a column of decimals cannot hold; None: it holds all."""
        text = _IN_TEXT.get(name)
        return text if text in self.columns else None

    def expressions(self) -> str:
        """Return what is selected for an export, from the relation as ``r``."""
        found = []
        texts: dict[str, str] = {}
        for name, kind in self.columns.items():
            if text := self.text_of(name):
                fits, number = _FITS[name], f"pg_catalog.trim_scale(r.{name})"
                found.append(f"CASE WHEN {fits} THEN {number} END")
                texts[text] = f"CASE WHEN {fits} THEN NULL ELSE {number} END"
            elif name in texts:
                found.append(texts[name])
            elif pa.types.is_decimal(kind):
                found.append(f"pg_catalog.trim_scale(r.{name})")
            else:
                found.append(f"r.{name}")
        return ", ".join(found)


_CANDLES = Layout(_CANDLE, "bucket", ("symbol", "exchange", "bucket"), ("symbol", "exchange"))
LAYOUTS = {
    "market_data": Layout(
        {
            "symbol": pa.string(),
            "exchange": pa.string(),
            "timestamp": _TIME,
            "id": pa.int64(),
            "price": _PRICE,
            "volume": _PRICE,
            "created_at": _TIME,
            "side": pa.string(),
            "source_id": pa.string(),
            "excluded": pa.string(),
        },
        "timestamp",
        ("symbol", "timestamp", "exchange", "id"),
        ("symbol", "exchange"),
    ),
    "option_data": Layout(
        {
            "underlying": pa.string(),
            "expiry_date": _TIME,
            "strike_price": _STRIKE,
            "option_type": pa.string(),
            "timestamp": _TIME,
            "id": pa.int64(),
            "iv": _GREEK,
            "delta": _GREEK,
            "gamma": _GREEK,
            "theta": _GREEK,
            "vega": _GREEK,
            "bid_price": _PRICE,
            "ask_price": _PRICE,
            "mark_price": _PRICE,
            "bid_iv": _GREEK,
            "ask_iv": _GREEK,
            "underlying_price": _PRICE,
            "open_interest": _PRICE,
            "rho": _GREEK,
        },
        "timestamp",
        ("underlying", "timestamp", "expiry_date", "strike_price", "option_type", "id"),
        ("underlying", "option_type"),
    ),
    "exchange_candles": Layout(
        {
            "symbol": pa.string(),
            "exchange": pa.string(),
            "interval": pa.string(),
            "bucket": _TIME,
            "open": _PRICE,
            "high": _PRICE,
            "low": _PRICE,
            "close": _PRICE,
            "volume": _PRICE,
            "quote_volume": _PRICE,
            "trades": pa.int64(),
            "source": pa.string(),
        },
        "bucket",
        ("symbol", "exchange", "interval", "bucket"),
        ("symbol", "exchange"),
    ),
    "ohlcv_1m": _CANDLES,
    "ohlcv_1h": _CANDLES,
    "ohlcv_1d": _CANDLES,
}


def key_prefix(relation: str, from_time: datetime, to_time: datetime, version: UUID) -> str:
    """Return what the keys of all objects of one archive begin with."""
    start, end = from_time.astimezone(UTC), to_time.astimezone(UTC)
    return (
        f"{relation}/year={start.year:04}/month={start.month:02}/"
        f"{relation}_{_compact(start)}_{_compact(end)}_{version}-"
    )


def _compact(time: datetime) -> str:
    fraction = f".{time.microsecond:06}" if time.microsecond else ""
    return f"{time:%Y%m%dT%H%M%S}{fraction}Z"


# ------------------------------------------------------------------ Parquet


def parsed(layout: Layout, text: bytes | bytearray) -> Any:
    """Read COPY's CSV into an Arrow table.

    Raises ArchiveError for a value that Parquet cannot hold exactly.
    """
    try:
        return pcsv.read_csv(
            pa.py_buffer(text),
            read_options=pcsv.ReadOptions(
                column_names=list(layout.columns), block_size=len(text) + 1
            ),
            parse_options=pcsv.ParseOptions(newlines_in_values=True),
            convert_options=pcsv.ConvertOptions(
                column_types=layout.schema,
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid as error:
        raise ArchiveError(f"a value has no exact form in Parquet: {error}") from error


def joined(tables: list[Any]) -> Any:
    """Put tables below one another."""
    return pa.concat_tables(tables).combine_chunks()


class ObjectWriter:
    """Writes one object into a file, a row group at a time, while the caller makes the next one."""

    def __init__(self, layout: Layout, file: Path, about: dict[str, str]) -> None:
        plain = [n for n, t in layout.columns.items() if t == _TIME or t == pa.int64()]
        self.file = file
        self.rows = 0
        schema = layout.schema
        self._writer = pq.ParquetWriter(
            file,
            schema,
            compression="zstd",
            use_dictionary=[n for n in layout.columns if n not in plain],
            column_encoding=dict.fromkeys(plain, "DELTA_BINARY_PACKED"),
            write_page_index=True,
            sorting_columns=[pq.SortingColumn(schema.names.index(n)) for n in layout.order],
        )
        self._writer.add_key_value_metadata(about)
        self._pool = ThreadPoolExecutor(1, "entasis-archive-write")
        self._before: Future[None] | None = None

    def write(self, table: Any) -> None:
        """Write a row group; raise what became of the one before."""
        if self._before is not None:
            self._before.result()
        self._before = self._pool.submit(self._writer.write_table, table, row_group_size=ROW_GROUP)
        self.rows += table.num_rows

    def close(self) -> None:
        """Write the footer; raise what became of the last row group."""
        try:
            if self._before is not None:
                self._before.result()
        finally:
            self._pool.shutdown()
            self._writer.close()


def row_groups(layout: Layout, file: Path) -> Iterator[Any]:
    """Read an object back, a row group at a time.

    Raises ArchiveError when it is no Parquet file of this layout.
    """
    try:
        with pq.ParquetFile(file) as parquet:
            if not parquet.schema_arrow.equals(layout.schema):
                raise ArchiveError("an object of the archive has other columns than its relation")
            for number in range(parquet.num_row_groups):
                yield parquet.read_row_group(number)
    except (pa.ArrowException, OSError) as error:
        raise ArchiveError(f"an object of the archive cannot be read: {error}") from error


def sha256(file: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with file.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def between(layout: Layout, table: Any, from_time: datetime, to_time: datetime) -> Any:
    """Keep the rows of [from_time, to_time)."""
    time = table.column(layout.time)
    start, end = (pa.scalar(t, _TIME) for t in (from_time, to_time))
    return table.filter(pc.and_(pc.greater_equal(time, start), pc.less(time, end)))


def as_csv(layout: Layout, table: Any) -> Any:
    """Turn rows into the CSV that COPY reads in UTC, in the relation's own columns."""
    columns = []
    for name in layout.stored:
        column = table.column(name).combine_chunks()
        if pa.types.is_string(column.type):
            column = _quoted(column)
        elif pa.types.is_decimal(column.type):
            text = pc.cast(column, pa.string())
            # as people write it; a tiny number comes with an exponent, which PostgreSQL reads too
            short = pc.ascii_rtrim(pc.ascii_rtrim(text, "0"), ".")
            tiny = pc.match_substring(text, "E")
            column = pc.if_else(tiny, text, short) if pc.any(tiny).as_py() else short
        else:
            # without its zone: to write that takes ten times as long
            plain = _LOCAL if pa.types.is_timestamp(column.type) else column.type
            column = pc.cast(pc.cast(column, plain), pa.string())
        if text_name := layout.text_of(name):
            column = pc.coalesce(column, table.column(text_name).combine_chunks())
        columns.append(pc.fill_null(column, ""))
    lines = pc.binary_join_element_wise(*columns, ",")
    return _content(pc.binary_join_element_wise(lines, "", "\n"))


def _quoted(column: Any) -> Any:
    """Put texts into quotation marks, which tell an empty one from NULL."""
    if pc.any(pc.match_substring(column, '"')).as_py():
        column = pc.replace_substring(column, '"', '""')
    return pc.binary_join_element_wise('"', column, '"', "")


def _content(column: Any) -> Any:
    """Return the bytes of all texts of a column, which lie side by side."""
    offsets = memoryview(column.buffers()[1]).cast("i")
    begin, end = offsets[column.offset], offsets[column.offset + len(column)]
    return memoryview(column.buffers()[2] or b"")[begin:end]


# ------------------------------------------------------------------ content

# CPython's own takes 0.4 microseconds a row where OpenSSL's takes 0.7; not every build has it
try:
    _md5 = importlib.import_module("_md5").md5
except ImportError:
    # copied for each row: to make one that FIPS does not mind takes as long as to hash a row
    _MD5 = hashlib.md5(usedforsecurity=False)

    def _md5(text: bytes) -> Any:
        row = _MD5.copy()
        row.update(text)
        return row


@dataclass
class Content:
    """How many rows, and the checksum of what is in them."""

    rows: int = 0
    checksum: int = 0

    def add(self, layout: Layout, table: Any) -> None:
        """Count a table in."""
        for batch in table.to_batches():
            digests = [_md5(text).digest() for text in _texts(layout, batch).to_pylist()]
            self.rows += batch.num_rows
            self.checksum += _sum(_big_endian(b"".join(digests)))


def _texts(layout: Layout, batch: Any) -> Any:
    """Return the canonical text of each row, as schema/core/archive/*_text.sql make it."""
    parts = []
    for name in layout.stored:
        if name in layout.texts:
            continue
        column = batch.column(name)
        if text := layout.text_of(name):
            column = pc.coalesce(
                _digits(column), _exact_digits(batch.column(text), column.type.scale)
            )
        elif pa.types.is_decimal(column.type):
            column = _digits(column)
        elif pa.types.is_timestamp(column.type):
            column = _microseconds(column)
        elif name == "source_id":
            length = pc.cast(pc.utf8_length(column), pa.string())
            column = pc.binary_join_element_wise(length, column, ",")
        elif not pa.types.is_string(column.type):
            column = pc.cast(column, pa.string())
        parts.append(pc.fill_null(column, ""))
    first, second = (batch.column(name) for name in layout.texts)
    parts += [pc.cast(pc.utf8_length(first), pa.string()), first, second]
    return pc.cast(pc.binary_join_element_wise(*parts, ","), pa.binary())


def _sum(digests: Any) -> int:
    """Add digests up, each taken as two signed halves of 64 bits."""
    halves = pa.FixedSizeListArray.from_arrays(
        pa.Array.from_buffers(pa.int64(), len(digests), [None, pa.py_buffer(digests)]), 2
    )
    total = 0
    for which in (0, 1):
        half = pc.list_element(halves, which)
        # by halves again, whose sum 64 bits hold
        high, low = pc.shift_right(half, 32), pc.bit_wise_and(half, 0xFFFFFFFF)
        total = (total << 64) + (_total(high) << 32) + _total(low)
    return total


def _total(numbers: Any) -> int:
    return int(pc.sum(numbers).as_py() or 0)


def _microseconds(column: Any) -> Any:
    """Return times as entasis_internal.time_text() writes them."""
    since = pc.subtract(pc.cast(column, pa.int64()), _YEAR_2000)
    begin, end = since.offset * 8, (since.offset + len(since)) * 8
    digits = pa.py_buffer(hexlify(_big_endian(memoryview(since.buffers()[1])[begin:end])))
    text = pc.cast(pa.Array.from_buffers(pa.binary(16), len(since), [None, digits]), pa.string())
    return pc.if_else(pc.is_valid(column), text, "") if column.null_count else text


def _big_endian(content: Any) -> Any:
    """Read signed numbers of 64 bits in the network's order of bytes, or write them in it."""
    numbers = array("q", bytes(content))
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers


def _digits(column: Any) -> Any:
    """Return decimals as whole multiples of their smallest unit, in text."""
    whole = pa.Array.from_buffers(
        pa.decimal128(38, 0), len(column), column.buffers(), offset=column.offset
    )
    return pc.cast(whole, pa.string())


def _exact_digits(column: Any, scale: int) -> Any:
    def scaled(text: str) -> str:
        with localcontext() as context:
            context.prec = MAX_PREC
            number = f"{Decimal(text).scaleb(scale):f}"
        return number.rstrip("0").rstrip(".") if "." in number else number

    return pa.array(
        [None if text is None else scaled(text) for text in column.to_pylist()], pa.string()
    )
