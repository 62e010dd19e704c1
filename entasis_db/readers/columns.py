"""Other people's columns of trades, line by line, as those of the normalised layout.

How such a file is recognised, and how its lines are read. Ids, sequences, signs and moments
are then judged by one set of rules, whoever wrote the file.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal, get_args

from entasis_db.errors import LoadError
from entasis_db.model import Side, TimeUnit
from entasis_db.readers.names import UPPER_CASE
from entasis_db.readers.rows import EPOCH, Layout, RowError, decimal_of

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
        # of a file without a header, these are the numbers of its first row
        bare = [] if self.by_position else [name.strip().strip('"') for name in header]
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


_NUMBERED = "instrument_id"


@dataclass(frozen=True, kw_only=True)
class Venue(Layout):
    """A layout whose columns are another's than ours."""

    columns: Columns
    unit: FileUnit | None = None
    """Of its times; None: they are text."""
    exchange: str | None = None
    """Whose files they are."""
    of_name: re.Pattern[str] | None = None
    """Finds the symbol in the name of the file."""
    market_of: Callable[[str, str], tuple[str, str]] | None = None
    """Gives exchange and symbol as they are stored, of the names in a row."""
    suffix: str = ""
    """Behind the symbol, as it is stored."""
    numbered: str = "trade"
    """The id space of integers."""
    unified: bool = False
    """Whether its symbols are a library's, which may be given as the exchange's own."""
    means: Mapping[str, Callable[[str], str]] = field(default_factory=dict)
    """Of what a column is, how its text is understood; RowError for what has no meaning."""
    only: Mapping[str, str | None] = field(default_factory=dict)
    """Columns in which each row has to have this, or (None) what the file's first row has."""
    headless: bool = False
    """Whether its files begin with a row."""
    may_have_more: bool = False
    """Whether further columns are taken for none of its own: nobody else has its names, and a
    column of each row names the market."""

    def begins(self, fields: Sequence[str]) -> bool | None:
        """Tell whether a file's first line is a header (True) or a row (False) of this layout.

        A header may have the columns in any order, and names in letters of any case.
        """
        if not self.headless:
            names = self.names(fields)
            known = [{*header.split(",")} for header in self.headers]
            found = any(k == {*names} or (self.may_have_more and k < {*names}) for k in known)
            return (found and len({*names}) == len(names)) or None
        if len(fields) == self.headers[0].count(",") + 1 and all(map(_is_number, fields)):
            return False
        return None

    def names(self, fields: Sequence[str]) -> list[str]:
        """Return the names of a header's columns, as they stand in ``headers``."""
        known = {name.lower(): name for header in self.headers for name in header.split(",")}
        return [known.get(plain_name(name).lower(), plain_name(name)) for name in fields]


def plain_name(name: str) -> str:
    """Return a column's name without quotes, and without what OKX adds in Chinese (as GBK)."""
    return name.strip().strip('"').split("/")[0]


def _is_number(text: str) -> bool:
    try:
        return decimal_of(text).is_finite()
    except RowError:
        return False


def layouts_of(
    known: Sequence[Layout],
    exchange: str | None,
    layout: str | None,
    columns: str | None,
    unit: FileUnit | None,
) -> Sequence[Layout]:
    """Return the layouts that a file may have; LoadError if it is told in two ways what it is.

    Rows without a header are taken for an exchange's only where that is named.
    """
    if columns is None:
        return [
            one
            for one in known
            if not (isinstance(one, Venue) and one.headless)
            or exchange == one.exchange
            or layout == one.name
        ]
    if layout is not None:
        raise LoadError("give the layout or the columns of a file, not both")
    return [Given("columns", (columns,), (), columns=Columns.parse(columns), unit=unit)]


class Given(Venue):
    """A file of which somebody has said what its columns are."""

    def begins(self, fields: Sequence[str]) -> bool | None:
        """Tell whether the first line is a header: it is, but of columns given by position."""
        if not self.columns.by_position:
            return True
        price = int(self.columns.price) - 1
        return not (price < len(fields) and _is_number(fields[price].strip('"')))


def placed(venue: Venue, source: str, header: Sequence[str]) -> tuple[Venue, dict[str, int]]:
    """Find a layout's columns in a header; return it with the places of its numbers, and all.

    LoadError if one is not there.
    """
    if venue.headless:
        return venue, venue.columns.places(source, header)
    if isinstance(venue, Given):
        places = venue.columns.places(source, [plain_name(name) for name in header])
        return replace(venue, numbers=(places["price"], places["volume"])), places
    names = venue.names(header)
    columns, only = venue.columns, dict(venue.only)
    if columns.symbol is not None and columns.symbol not in names:
        # what is numbered instead is one instrument
        columns, only[_NUMBERED] = replace(columns, symbol=None), None
    numbers = [venue.headers[0].split(",")[place] for place in venue.numbers]
    found = replace(
        venue,
        headers=(",".join(names),),
        numbers=tuple(names.index(name) for name in numbers),
        columns=columns,
        only=only,
    )
    return found, columns.places(source, names)


def translate_of(
    venue: Venue,
    places: Mapping[str, int],
    names: tuple[str, str],
    exchange: str | None,
    symbol: str | None,
) -> Translate:
    """Make the function that translates a file's lines.

    ``places`` are those of its columns, ``names`` those of the file and of what is in it,
    ``exchange`` and ``symbol`` what was given of its market. LoadError if that is known from the
    file, or not known at all.
    """
    source = names[0]
    for name, value in (("exchange", exchange), ("symbol", symbol)):
        overrules = venue.unified and name == "symbol"
        if name in places and value is not None and not overrules:
            raise LoadError(
                f"{source}: a column of the file names each trade's {name}; leave out --{name}"
            )
    if exchange is not None and venue.exchange not in {None, exchange}:
        raise LoadError(
            f"{source}: this is the layout of {venue.exchange}'s files, not of {exchange}; leave "
            "out --exchange, or say with --columns what its columns are"
        )
    exchange = exchange or venue.exchange
    if exchange is None and "exchange" not in places:
        raise LoadError(f"{source}: nothing names its exchange; pass --exchange")
    if symbol is None and "symbol" not in places:
        symbol = symbol_by_name(venue.of_name, venue.name, names) + venue.suffix
    upper = exchange in UPPER_CASE
    if symbol is not None and upper:
        symbol = symbol.upper()
    symbol_of = str.upper if upper else str
    translate = _understood(
        venue, places, translation(places, venue.unit, exchange or str, symbol or symbol_of)
    )
    market_of = venue.market_of
    if market_of is None:
        return translate

    def renamed(fields: list[str]) -> list[str]:
        row = translate(fields)
        row[0], row[1] = market_of(row[0], row[1])
        return row

    return renamed


def _understood(venue: Venue, places: Mapping[str, int], translate: Translate) -> Translate:
    """Let a layout's own words be understood before its lines are translated."""
    if not venue.means and not venue.only:
        return translate
    means = [(places[name], read) for name, read in venue.means.items()]
    header = venue.headers[0].split(",")
    only = {header.index(name): word for name, word in venue.only.items()}

    def understood(fields: list[str]) -> list[str]:
        for place, word in only.items():
            if word is None:
                only[place] = fields[place]
            elif fields[place] != word:
                raise RowError(
                    "event", f"its {header[place]} is {fields[place]!r}, and {word!r} is read here"
                )
        fields = list(fields)
        for place, read in means:
            fields[place] = read(fields[place])
        return translate(fields)

    return understood


def symbol_by_name(
    of_name: re.Pattern[str] | None, layout: str, names: tuple[str, str], example: str = ""
) -> str:
    """Take a symbol from the names of a file, and of the file in it.

    LoadError if they have none, or two. ``example`` is said of a name that would have one.
    """
    source, inside = names
    matches = [of_name.fullmatch(name) for name in names] if of_name is not None else []
    # some program has written the name in lower case: it is the same market
    symbols = [match[1].upper() for match in matches if match is not None]
    if not symbols:
        raise LoadError(
            f"{source}: the layout {layout} does not name its symbol, nor does the file's name"
            f"{example}; pass --symbol"
        )
    if len(set(symbols)) > 1:
        raise LoadError(
            f"{source}: by its name it is of {symbols[0]}, and the file in it, {inside}, "
            f"is of {symbols[1]}; pass --symbol if you know which it is"
        )
    return symbols[0]
