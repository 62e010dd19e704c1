"""What every reader shares: the rows, the rejections, the ordinals and the one loop."""

import csv
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from itertools import chain, dropwhile
from pathlib import Path
from typing import Generic, NamedTuple, NoReturn, TypeVar

from entasis_db.errors import LoadError
from entasis_db.model import ExchangeCandle, OptionQuote, Trade
from entasis_db.readers.files import Block, Source

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

REJECTIONS = {
    "encoding": "the line is not UTF-8, or holds a NUL character",
    "unterminated": "the file's last line has no line end, and no checksum vouches for it",
    "fields": "the line has another number of fields than the file's first line",
    "timestamp": "the time is no number or date, or beyond the years 1 to 9999",
    "id": "the trade's id is no 64-bit integer in a market that has these, or a damaged number, or "
    "is missing (is given) in a market whose first trade in the file has one (has none)",
    "sequence": "the sequence is no 64-bit integer where it is the id, or does not increase where "
    "it is the row's position",
    "side": "the flag that says whether the buyer was the maker is neither true nor false, or the "
    "side is buy and the sign of the size says sell",
    "number": "a price, volume, implied volatility or greek is no number",
    "base_quantity": "the quantity in the base is not what contracts, their size and the price say",
    "instrument": "the name or type of the instrument is none of an option",
    "event": "the line of a capture is about something else than a trade",
}
"""Every ``Rejected.code``, explained."""


class Rejected(NamedTuple):
    """A line that cannot be read as a row."""

    line: int
    """Its number in the file, from 1."""
    code: str
    """A key of ``REJECTIONS``."""
    reason: str
    """What is wrong with this line, for a person."""
    payload: str
    """The whole line, without its end; bytes that are not text are written ``\\xNN``."""


class TradeRow(NamedTuple):
    """One trade and where it stands."""

    line: int
    """The line's number in the file, from 1."""
    trade: Trade
    """As the file states it; not yet judged by any rule."""
    id_space: str
    """What numbers the trade's market: ``trade``, ``aggtrade``, ``sequence``, ``digest`` or
    ``ordinal``."""


class OptionRow(NamedTuple):
    """One option quote and where it stands."""

    line: int
    """The line's number in the file, from 1."""
    quote: OptionQuote
    """As the file states it; not yet judged by any rule."""


class CandleRow(NamedTuple):
    """One candle of an exchange's own and where it stands."""

    line: int
    """The line's number in the file, from 1."""
    candle: ExchangeCandle
    """As the file states it; not yet judged by any rule."""


class RowError(Exception):
    """This line is to be rejected."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class OrderError(Exception):
    """Timestamps go back, so ordinals need every group, not only the latest."""


class Ordinals:
    """Numbers the rows of each group of equal (series, timestamp) from 0, in file order.

    While the timestamps of each series never go back, the latest group of each is all that has to
    be kept, and memory is bounded by the number of series. With ``any_order`` every group is
    kept: 80 to 130 bytes for each distinct (series, timestamp) of the file.
    """

    def __init__(self, *, any_order: bool) -> None:
        self._any_order = any_order
        self._groups: dict[Hashable, dict[int, int]] = {}

    def next(self, series: Hashable, stamp: int) -> int:
        """Give the row's ordinal; OrderError if that takes ``any_order``."""
        groups = self._groups.get(series)
        if groups is None:
            groups = self._groups[series] = {}
        ordinal = groups.get(stamp, 0)
        if ordinal == 0 and groups and not self._any_order:
            if stamp < next(iter(groups)):
                raise OrderError
            groups.clear()
        groups[stamp] = ordinal + 1
        return ordinal


@dataclass(frozen=True)
class Layout:
    """What a kind of file looks like."""

    name: str
    headers: tuple[str, ...]
    """The header lines that announce it."""
    numbers: tuple[int, ...]
    """Positions of the columns that hold numbers."""
    flag: int | None = None
    """Position of a true/false column, by which files without a header are recognised."""

    def begins(self, fields: Sequence[str]) -> bool | None:
        """Tell whether a file's first line is a header (True) or a row (False) of this layout."""
        if ",".join(fields) in self.headers:
            return True
        widths = {header.count(",") + 1 for header in self.headers}
        if self.flag is not None and len(fields) in widths:
            return False if fields[self.flag].lower() in {"true", "false"} else None
        return None


Row = TypeVar("Row", TradeRow, OptionRow, CandleRow)
Parse = Callable[[int, list[str]], Row]
"""Makes a row of a line's number and fields; raises RowError or OrderError."""


class Reader(ABC, Generic[Row]):
    """An iterable of rows and rejections, in the order of the file.

    A record is one line: no field may hold a line break. Blank lines and lines that begin with
    ``#`` are skipped; CRLF and a byte order mark are tolerated. A file can be iterated again, a
    pipe once. LoadError, while iterating, names the line up to which the file could be read.

    If ordinals are needed and timestamps turn out to go back, the file is read once more from its
    beginning, silently up to the line that showed it: a prefix is numbered alike both ways.
    """

    layout: str
    """Name of the layout recognised."""
    lines_read: int
    """Lines of the file that are done with, by the block."""
    truncated_nanoseconds: int
    """How many rows had digits below the microsecond, which were cut off."""

    hint = ""
    """What can be done about a file of no known layout."""

    def __init__(
        self, path: str | Path | Source, layouts: Sequence[Layout], layout: str | None = None
    ) -> None:
        if layout is not None:
            layouts = [known for known in layouts if known.name == layout] or _no_layout(
                layout, layouts
            )
        self._source = path if isinstance(path, Source) else Source(path)
        self._pending: Iterator[Block] | None = None
        self.source = self._source.name
        self.lines_read = 0
        self.truncated_nanoseconds = 0
        number, fields = self._first_line(layouts)
        for known in layouts:
            header = known.begins(fields)
            if header is not None:
                break
        else:
            raise LoadError(
                f"{self.source}, line {number}: the layout is not recognised; found "
                f"{','.join(fields)[:200]!a}; {_expected(layouts)}{self.hint}"
            )
        self.layout = known.name
        self._layout = known
        self._first_fields = fields
        self._body = number + 1 if header else number

    @property
    def rereadable(self) -> bool:
        """Whether it can be iterated again: a file can, a pipe cannot."""
        return self._source.rereadable

    @property
    def names(self) -> tuple[str, str]:
        """The names of the file, and of the file in it."""
        return self.source, self._source.member or self.source

    @property
    def bytes_read(self) -> int:
        """Position in the file as it is stored (compressed); for a pipe, bytes of text so far."""
        return self._source.bytes_read

    @property
    def total_bytes(self) -> int | None:
        """Size of the file as it is stored; None for a pipe."""
        return self._source.total_bytes

    def __iter__(self) -> Iterator[Row | Rejected]:
        line = 0
        try:
            for row in self._pass(Ordinals(any_order=not self._source.rereadable)):
                line = row[0]
                yield row
        except OrderError:
            again = self._pass(Ordinals(any_order=True))
            yield from dropwhile(lambda row: row[0] <= line, again)

    @abstractmethod
    def _parser(self, ordinals: Ordinals) -> Parse[Row]:
        """Make the function that parses this file's lines, with its state as at the beginning."""

    def _pass(self, ordinals: Ordinals) -> Iterator[Row | Rejected]:
        """Read the file from its beginning."""
        self.truncated_nanoseconds = 0
        parse = self._parser(ordinals)
        width = len(self._first_fields)
        numbers = self._layout.numbers
        for first, lines, odd, ended in self._blocks():
            skipped = max(0, self._body - first)
            if not ended:
                yield from _unterminated(first, lines[skipped:])
                self.lines_read = first
                break
            for number, line in enumerate(lines[skipped:], first + skipped):
                try:
                    fields = fields_of(line, numbers) if odd else line.split(",")
                    if len(fields) == width:
                        row = parse(number, fields)
                    elif not line or line.isspace() or line.startswith("#"):
                        continue
                    else:
                        _misfit(fields, width)
                except RowError as error:
                    yield Rejected(number, error.code, error.reason, payload_of(line))
                else:
                    yield row
            self.lines_read = first + len(lines) - 1

    def _blocks(self) -> Iterator[Block]:
        if self._source.rereadable:
            return self._source.blocks()
        if self._pending is None:
            raise LoadError(f"{self.source}: a pipe can be read only once")
        blocks, self._pending = self._pending, None
        return blocks

    def _first_line(self, layouts: Sequence[Layout]) -> tuple[int, list[str]]:
        """Find the first line that is neither blank nor a comment: its number and its fields."""
        blocks = self._source.blocks()
        seen: list[Block] = []
        for block in blocks:
            seen.append(block)
            for number, line in enumerate(block.lines, block.first):
                if line.strip() and not line.startswith("#"):
                    if self._source.rereadable:
                        blocks.close()
                    else:
                        self._pending = chain(seen, blocks)
                    return number, line.split(",")
        raise LoadError(f"{self.source}, line 1: the file is empty; {_expected(layouts)}")


def _unterminated(number: int, lines: Sequence[str]) -> Iterator[Rejected]:
    """Reject a line that may be cut, if it is one."""
    for line in lines:
        if line.strip() and not line.startswith("#"):
            yield Rejected(
                number,
                "unterminated",
                "the file ends without a line end, so its last line may be cut; fetch the file "
                "again, or add a line end if it is whole, and load it again",
                payload_of(line),
            )


def fields_of(line: str, numbers: Sequence[int]) -> list[str]:
    """Split a line that may hold more than plain fields; an empty list for a comment.

    Raise RowError for bytes that are not UTF-8, for NUL, which PostgreSQL's text cannot hold, and
    for numbers that Python's ``int`` and ``Decimal`` would take and no source means: ``1_0``, or
    digits other than 0 to 9.
    """
    if line.startswith("#"):
        return []
    ascii_only = line.isascii()
    if "\0" in line or not (ascii_only or _is_utf8(line)):
        raise RowError("encoding", "the line is not text in UTF-8")
    try:
        fields = next(csv.reader([line], strict=True)) if '"' in line else line.split(",")
    except csv.Error as error:
        raise RowError("fields", f"quotes do not match: {error}") from None
    if "_" in line or not ascii_only:
        for position in numbers:
            number = fields[position] if position < len(fields) else ""
            if "_" in number or not number.isascii():
                raise RowError("number", f"{number!r} is not a number")
    return fields


def payload_of(line: str) -> str:
    """Give the line as text that can be stored, with nothing lost."""
    data = line.encode("utf-8", "surrogateescape")
    return data.decode("utf-8", "backslashreplace").replace("\0", "\\x00")


def _is_utf8(line: str) -> bool:
    try:
        line.encode()
    except UnicodeEncodeError:  # a byte that could not be decoded stands as a lone surrogate
        return False
    return True


def decimal_of(text: str) -> Decimal:
    """Give exactly the number that the text states; RowError if it states none.

    NaN and the infinities are numbers here. A signalling NaN is not: merely comparing it raises.
    """
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise RowError("number", f"{text!r} is not a number") from None
    if value.is_snan():
        raise RowError("number", f"{text!r} is not a number")
    return value


def utc(microseconds: int) -> datetime:
    """Give the moment so many microseconds after 1970; RowError beyond the years 1 to 9999."""
    try:
        return EPOCH + timedelta(0, 0, microseconds)
    except OverflowError:
        raise RowError("timestamp", "the time is beyond the years 1 to 9999") from None


def _misfit(fields: Sequence[str], width: int) -> NoReturn:
    raise RowError("fields", f"{len(fields)} fields instead of {width}")


def _no_layout(name: str, layouts: Sequence[Layout]) -> NoReturn:
    known = ", ".join(dict.fromkeys(layout.name for layout in layouts))
    raise LoadError(f"there is no layout {name!r}; known are {known}")


def _expected(layouts: Sequence[Layout]) -> str:
    # nobody writes the columns that JSON is made into
    known = "; ".join(
        layout.name if layout.name.endswith("-json") else f"{layout.name} ({layout.headers[0]})"
        for layout in layouts
    )
    return f"expected one of these layouts: {known}"
