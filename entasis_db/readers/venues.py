"""How exchanges and vendors lay out their files of trades.

One entry a layout: its header, where what stands in it, and what is particular to it. They are
those of Bybit's and OKX's public archives, of Coinbase's interface, of Kraken's published history,
and of Tardis' datasets.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from entasis_db.errors import LoadError
from entasis_db.readers.columns import Columns, FileUnit, Translate, translation
from entasis_db.readers.rows import Layout, RowError, decimal_of

_ENDING = r"(?i:(?:\.(?:csv|txt|gz|zip))*)"
_DAY = r"\d{4}-\d\d(?:-\d\d)?"


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
    headless: bool = False
    """Whether its files begin with a row."""

    def begins(self, fields: Sequence[str]) -> bool | None:
        """Tell whether a file's first line is a header (True) or a row (False) of this layout."""
        if not self.headless:
            return super().begins([plain_name(name) for name in fields])
        if len(fields) == self.headers[0].count(",") + 1 and all(map(_is_number, fields)):
            return False
        return None


def plain_name(name: str) -> str:
    """Return a column's name without quotes, and without what OKX adds in Chinese (as GBK)."""
    return name.strip().strip('"').split("/")[0]


def _is_number(text: str) -> bool:
    try:
        return decimal_of(text).is_finite()
    except RowError:
        return False


_TARDIS: Mapping[str, str] = {
    "binance": "binance-spot",
    "binance-futures": "binance-usdm",
    "binance-delivery": "binance-cm",
    "okex": "okx",
    "okex-swap": "okx",
    "okex-futures": "okx",
    "okex-options": "okx",
}
"""Names of exchanges that Tardis writes, where ours are others."""


def _tardis_market(exchange: str, symbol: str) -> tuple[str, str]:
    if exchange == "bybit-spot":
        return "bybit", f"{symbol}-SPOT"
    return _TARDIS.get(exchange, exchange), symbol


_BYBIT = (
    "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,"
    "foreignNotional"
)
_BYBIT_SPOT = "id,timestamp,price,volume,side"
_OKX = "instrument_name,trade_id,side,price,size,created_time"
_OKX_OLD = "trade_id,side,size,price,created_time"

VENUES: tuple[Venue, ...] = (
    Venue(
        "bybit",
        (_BYBIT, f"{_BYBIT},RPI"),
        (0, 3, 4),
        columns=Columns(
            "timestamp", "price", "size", id="trdMatchID", side="side", symbol="symbol"
        ),
        unit="s",
        exchange="bybit",
    ),
    Venue(
        "bybit-spot",
        (_BYBIT_SPOT, f"{_BYBIT_SPOT},rpi"),
        (0, 1, 2, 3),
        # the "id" counts the rows of the file
        columns=Columns("timestamp", "price", "volume", row="id", side="side"),
        unit="ms",
        exchange="bybit",
        of_name=re.compile(rf"([A-Z0-9]+)_{_DAY}(?:_spot)?{_ENDING}"),
        suffix="-SPOT",
    ),
    Venue(
        "okx",
        (_OKX,),
        (1, 3, 4, 5),
        columns=Columns(
            "created_time", "price", "size", id="trade_id", side="side", symbol="instrument_name"
        ),
        unit="ms",
        exchange="okx",
    ),
    Venue(
        "okx-old",
        (_OKX_OLD,),
        (0, 2, 3, 4),
        columns=Columns("created_time", "price", "size", id="trade_id", side="side"),
        unit="ms",
        exchange="okx",
        of_name=re.compile(rf"([A-Z0-9-]+?)-(?:trades|aggtrades)-{_DAY}{_ENDING}"),
    ),
    Venue(
        "coinbase",
        ("trade_id,price,size,side,time", "time,trade_id,price,size,side"),
        (1, 2),
        # its interface says which side's order stood in the book
        columns=Columns("time", "price", "size", id="trade_id", maker_side="side"),
        exchange="coinbase",
    ),
    Venue(
        "tardis",
        ("exchange,symbol,timestamp,local_timestamp,id,side,price,amount",),
        (2, 3, 6, 7),
        columns=Columns(
            *("timestamp", "price", "amount"),
            **{name: name for name in ("id", "side", "exchange", "symbol")},
        ),
        unit="us",
        market_of=_tardis_market,
    ),
    Venue(
        "kraken",
        ("timestamp,price,volume",),
        (0, 1, 2),
        columns=Columns("1", "2", "3"),
        unit="s",
        exchange="kraken",
        of_name=re.compile(rf"([A-Z0-9]+){_ENDING}"),
        headless=True,
    ),
)


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
    places = venue.columns.places(source, [plain_name(name) for name in header])
    numbers = venue.numbers or (places["price"], places["volume"])
    return replace(venue, numbers=numbers), places


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
        if name in places and value is not None:
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
    translate = translation(places, venue.unit, exchange or str, symbol or str)
    market_of = venue.market_of
    if market_of is None:
        return translate

    def renamed(fields: list[str]) -> list[str]:
        row = translate(fields)
        row[0], row[1] = market_of(row[0], row[1])
        return row

    return renamed


def symbol_by_name(
    of_name: re.Pattern[str] | None, layout: str, names: tuple[str, str], example: str = ""
) -> str:
    """Take a symbol from the names of a file, and of the file in it.

    LoadError if they have none, or two. ``example`` is said of a name that would have one.
    """
    source, inside = names
    matches = [of_name.fullmatch(name) for name in names] if of_name is not None else []
    symbols = [match[1] for match in matches if match is not None]
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
