"""Other people's columns of trades, line by line, as those of the normalised layout.

So that ids, sequences, signs and moments are judged by one set of rules, whoever wrote the file.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

from entasis_db.errors import LoadError
from entasis_db.model import Side, TimeUnit
from entasis_db.readers.rows import EPOCH, RowError

Market = tuple[str, str]
"""Exchange and symbol."""
Translate = Callable[[list[str]], list[str]]
"""Makes the fields of the normalised layout, side and excluded among them, of a line's."""

FileUnit = Literal["s", "ms", "us", "ns"]
"""The unit of a file's times that are numbers since 1970; each may have decimals."""
_DIGITS: Mapping[str, int] = {"s": 9, "ms": 6, "us": 3, "ns": 0}
_ZEROS = {unit: "0" * digits for unit, digits in _DIGITS.items()}

_NUMBER = re.compile(r"([0-9]{1,20})(?:\.([0-9]*))?")
_TEXT = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:\.(\d+))?\s*(Z|UTC|[+-]\d\d:?\d\d)")
_SIDES = {
    **dict.fromkeys(("buy", "b", "bid"), "buy"),
    **dict.fromkeys(("sell", "s", "ask"), "sell"),
    **dict.fromkeys(("", "unknown", "none", "null"), ""),
}
# in archives true or True, in captured streams 1
_BUYER_IS_MAKER: dict[str, Side] = {
    **dict.fromkeys(("true", "True", "TRUE", "1"), "sell"),
    **dict.fromkeys(("false", "False", "FALSE", "0"), "buy"),
}
_POSTGRESQL = {"t": "true", "f": "false"}
_OTHER_SIDE = {"buy": "sell", "sell": "buy", "": ""}


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of a file's columns, or their positions from 1. None: it has no such column."""

    timestamp: str
    price: str
    volume: str
    id: str | None = None
    sequence: str | None = None
    row: str | None = None
    """The number of a row in the file, from 1: no id."""
    side: str | None = None
    """Which side took."""
    maker_side: str | None = None
    """Which side's order stood in the book before."""
    buyer_maker: str | None = None
    """Whether the buyer's order stood in the book before."""
    exchange: str | None = None
    symbol: str | None = None
    excluded: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Columns":
        """Read ``timestamp=ts,price=px,volume=qty,id=tid``; LoadError says what is wrong."""
        found: dict[str, str] = {}
        for part in text.split(","):
            name, sign, column = (piece.strip() for piece in part.partition("="))
            if not (sign and column) or name not in GIVEN:
                raise LoadError(
                    f"columns: {part.strip()!r} is not understood; give name=column for "
                    f"{', '.join(GIVEN)}, as in timestamp=ts,price=px,volume=qty,id=tid"
                )
            if name in found:
                raise LoadError(f"columns: {name} is given twice")
            found[name] = column
        if missing := [name for name in ("timestamp", "price", "volume") if name not in found]:
            raise LoadError(f"columns: {', '.join(missing)} must be given")
        if len(found.keys() & {"side", "maker_side", "buyer_maker"}) > 1:
            raise LoadError("columns: give one of side, maker_side and buyer_maker")
        return cls(**found)

    def named(self) -> dict[str, str]:
        """Return the columns that there are."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: column for name, column in values.items() if column is not None}

    def places(self, source: str, header: Sequence[str]) -> dict[str, int]:
        """Find the columns in a header, or by position; LoadError if one is not there."""
        found: dict[str, int] = {}
        bare = [name.strip().strip('"') for name in header]
        for name, column in self.named().items():
            if bare.count(column) == 1:
                found[name] = bare.index(column)
            elif column.isdecimal() and 1 <= int(column) <= len(header):
                found[name] = int(column) - 1
            else:
                what = "there are several" if column in bare else "there is none"
                raise LoadError(
                    f"{source}: {name} is to be column {column!r}, and {what} in "
                    f"{','.join(header)[:200]!a}"
                )
        return found

    @property
    def by_position(self) -> bool:
        """Whether every column is given by its position."""
        return all(column.isdecimal() for column in self.named().values())


GIVEN = (
    *("timestamp", "price", "volume", "id", "sequence", "side", "maker_side", "buyer_maker"),
    *("exchange", "symbol", "excluded"),
)
"""What of a file can be given."""
UNITS: tuple[FileUnit, ...] = get_args(FileUnit)


def stated_unit(unit: FileUnit | None, nanoseconds: str) -> TimeUnit:
    """Return the unit of a time: what has decimals, or is finer than microseconds, is in those."""
    if (unit == "s" or unit == "ms") and nanoseconds.endswith(_ZEROS[unit]):
        return unit
    return "us"


def taker_of(buyer_is_maker: str) -> Side:
    """Return the side that took: the seller, where the buyer's order stood in the book before."""
    side = _BUYER_IS_MAKER.get(buyer_is_maker)
    if side is None:
        raise RowError("side", f"{buyer_is_maker!r} does not say whether the buyer was the maker")
    return side


def translation(
    places: Mapping[str, int],
    unit: FileUnit | None,
    exchange: Callable[[str], str] | str,
    symbol: Callable[[str], str] | str,
) -> Translate:
    """Make the function that translates a file's lines.

    ``exchange`` and ``symbol`` are those of all its trades, or make one of what a line says.
    """
    at, price, volume = places["timestamp"], places["price"], places["volume"]
    id_at, row_at, excluded_at = places.get("id"), places.get("row"), places.get("excluded")
    sequence_at = places.get("sequence")
    side_of = _side_of(places)
    exchange_at, symbol_at = places.get("exchange", 0), places.get("symbol", 0)

    def translate(fields: list[str]) -> list[str]:
        sequence = "" if sequence_at is None else fields[sequence_at]
        if row_at is not None:
            sequence = _position(fields[row_at])
        return [
            exchange if isinstance(exchange, str) else exchange(fields[exchange_at]),
            symbol if isinstance(symbol, str) else symbol(fields[symbol_at]),
            nanoseconds(fields[at], unit),
            sequence,
            "" if id_at is None else fields[id_at],
            fields[price],
            fields[volume],
            side_of(fields),
            "" if excluded_at is None else fields[excluded_at],
        ]

    return translate


def nanoseconds(text: str, unit: FileUnit | None) -> str:
    """Give the nanoseconds since 1970 that a number of units, or ISO 8601 text, states.

    Digits below the nanosecond are cut. RowError for anything else; for text without a zone, whose
    moment nobody knows.
    """
    if (number := _NUMBER.fullmatch(text)) is not None:
        if unit is None:
            raise RowError("timestamp", f"{text!r} is a number, and nothing says of which unit")
        digits = _DIGITS[unit]
        whole, decimals = number.groups()
        return whole + ((decimals or "") + _ZEROS[unit])[:digits]
    if (parts := _TEXT.fullmatch(text)) is None:
        expected = "a time with a zone, as in ISO 8601" if unit is None else f"a number of {unit}"
        raise RowError("timestamp", f"{text!r} is not {expected}")
    clock, decimals, zone = parts.groups()
    try:
        moment = datetime.fromisoformat(clock + ("+00:00" if zone in {"Z", "UTC"} else zone))
        since = moment.astimezone(UTC) - EPOCH
    except (ValueError, OverflowError):
        raise RowError("timestamp", f"{text!r} is no time that there is") from None
    seconds = since.days * 86_400 + since.seconds
    return str(seconds * 1_000_000_000 + int(((decimals or "") + "0" * 9)[:9]))


def _side_of(places: Mapping[str, int]) -> Callable[[list[str]], str]:
    if (at := places.get("side")) is not None:
        return lambda fields: _side(fields[at])
    if (maker := places.get("maker_side")) is not None:
        return lambda fields: _OTHER_SIDE[_side(fields[maker])]
    if (flag := places.get("buyer_maker")) is not None:
        return lambda fields: taker_of(_POSTGRESQL.get(fields[flag], fields[flag]))
    return lambda _fields: ""


def _side(text: str) -> str:
    side = _SIDES.get(text.lower())
    if side is None:
        raise RowError("side", f"{text!r} is neither buy nor sell")
    return side


def _position(text: str) -> str:
    if not text.isdecimal():
        raise RowError("sequence", f"{text!r} is not the number of a row")
    return str(int(text) - 1)
